-- schema: registers
-- reason: join-partner
SELECT d.town, COUNT(DISTINCT d.person) AS n FROM (SELECT b.town, b.person FROM bank.loans b JOIN shop.orders s ON b.person = s.person) AS d GROUP BY d.town
