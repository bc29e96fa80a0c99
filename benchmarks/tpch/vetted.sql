-- 1, without sums of products of columns
SELECT l_returnflag, l_linestatus, SUM(l_quantity) AS sum_qty, SUM(l_extendedprice) AS sum_base_price, AVG(l_quantity) AS avg_qty, AVG(l_extendedprice) AS avg_price, COUNT(*) AS count_order FROM tpch.lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus
-- 3, by day of order, of prices
SELECT o_orderdate, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.orders ON l_orderkey = o_orderkey JOIN tpch.customer ON o_custkey = c_custkey WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15' GROUP BY o_orderdate ORDER BY o_orderdate
-- 5, by nation of the customer, of prices
SELECT n_name, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.orders ON l_orderkey = o_orderkey JOIN tpch.customer ON o_custkey = c_custkey JOIN tpch.nation ON c_nationkey = n_nationkey JOIN tpch.region ON n_regionkey = r_regionkey WHERE r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01' GROUP BY n_name ORDER BY n_name
-- 6, of prices
SELECT SUM(l_extendedprice) AS revenue FROM tpch.lineitem WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07
-- 12, by priority as a group
SELECT l_shipmode, o_orderpriority, COUNT(DISTINCT l_orderkey) AS orders FROM tpch.orders JOIN tpch.lineitem ON o_orderkey = l_orderkey WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1995-01-01' GROUP BY l_shipmode, o_orderpriority ORDER BY l_shipmode, o_orderpriority
-- 14, by type as a group, of prices
SELECT p_type, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.part ON l_partkey = p_partkey WHERE l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01' GROUP BY p_type ORDER BY p_type
-- 22, by nation, of all customers
SELECT n_name, COUNT(*) AS numcust, SUM(c_acctbal) AS totacctbal FROM tpch.customer JOIN tpch.nation ON c_nationkey = n_nationkey GROUP BY n_name ORDER BY n_name
