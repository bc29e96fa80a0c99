-- schema: registers
-- reason: join-partner
SELECT b.town, COUNT(DISTINCT b.person) AS n FROM bank.loans b JOIN tax.incomes t ON b.person = t.person JOIN shop.orders s ON t.person = s.person GROUP BY b.town
