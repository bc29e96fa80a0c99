-- schema: registers
-- reason: join-partner
SELECT b.town, COUNT(DISTINCT b.person) AS n FROM bank.loans b JOIN shop.orders s ON b.person = s.person GROUP BY b.town
