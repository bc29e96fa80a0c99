-- schema: registers
SELECT b.town, COUNT(DISTINCT b.person) AS n FROM bank.loans b JOIN tax.incomes t ON b.person = t.person GROUP BY b.town ORDER BY b.town
