-- schema: registers
-- reason: join-partner
SELECT s.town, COUNT(DISTINCT b.person) AS n FROM shop.orders s LEFT JOIN bank.loans b ON s.person = b.person GROUP BY s.town
