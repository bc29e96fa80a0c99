-- schema: registers
SELECT t.district, AVG(b.amount) AS amount FROM bank.loans b JOIN tax.towns t ON b.person = t.person GROUP BY t.district ORDER BY t.district
