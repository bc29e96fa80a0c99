-- 1, without sums of products of columns
SELECT l_returnflag, l_linestatus, SUM(l_quantity) AS sum_qty, SUM(l_extendedprice) AS sum_base_price, AVG(l_quantity) AS avg_qty, AVG(l_extendedprice) AS avg_price, COUNT(*) AS count_order FROM tpch.lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus
-- 2, the least cost by nation and type, of public data
SELECT n_name, p_type, MIN(ps_supplycost) AS least_cost FROM tpch.partsupp JOIN tpch.part ON p_partkey = ps_partkey JOIN tpch.supplier ON s_suppkey = ps_suppkey JOIN tpch.nation ON s_nationkey = n_nationkey JOIN tpch.region ON n_regionkey = r_regionkey WHERE p_size = 15 AND r_name = 'EUROPE' GROUP BY n_name, p_type ORDER BY n_name, p_type
-- 3, by day of order, of prices
SELECT o_orderdate, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.orders ON l_orderkey = o_orderkey JOIN tpch.customer ON o_custkey = c_custkey WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15' GROUP BY o_orderdate ORDER BY o_orderdate
-- 4, of all orders with lines, late or not
SELECT o_orderpriority, COUNT(DISTINCT l_orderkey) AS order_count FROM tpch.orders JOIN tpch.lineitem ON o_orderkey = l_orderkey WHERE o_orderdate >= DATE '1993-07-01' AND o_orderdate < DATE '1993-10-01' GROUP BY o_orderpriority ORDER BY o_orderpriority
-- 5, by nation of the customer, of prices, the region by its key
SELECT n_name, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.orders ON l_orderkey = o_orderkey JOIN tpch.customer ON o_custkey = c_custkey JOIN tpch.nation ON c_nationkey = n_nationkey WHERE n_regionkey = 2 AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01' GROUP BY n_name ORDER BY revenue DESC
-- 6, of prices
SELECT SUM(l_extendedprice) AS revenue FROM tpch.lineitem WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07
-- 7, of prices, the supplier's nation by its key
SELECT s_nationkey AS supp_nation, n_name AS cust_nation, EXTRACT(year FROM l_shipdate) AS l_year, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.supplier ON s_suppkey = l_suppkey JOIN tpch.orders ON o_orderkey = l_orderkey JOIN tpch.customer ON c_custkey = o_custkey JOIN tpch.nation ON c_nationkey = n_nationkey WHERE ((s_nationkey = 6 AND n_name = 'GERMANY') OR (s_nationkey = 7 AND n_name = 'FRANCE')) AND l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' GROUP BY s_nationkey, n_name, EXTRACT(year FROM l_shipdate) ORDER BY supp_nation, cust_nation, l_year
-- 8, every nation's volume in place of one's share, of prices, the supplier's nation by its key
SELECT EXTRACT(year FROM o_orderdate) AS o_year, s_nationkey AS nation, SUM(l_extendedprice) AS volume FROM tpch.lineitem JOIN tpch.part ON p_partkey = l_partkey JOIN tpch.supplier ON s_suppkey = l_suppkey JOIN tpch.orders ON o_orderkey = l_orderkey JOIN tpch.customer ON c_custkey = o_custkey JOIN tpch.nation ON c_nationkey = n_nationkey WHERE n_regionkey = 1 AND o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' AND p_type = 'ECONOMY ANODIZED STEEL' GROUP BY EXTRACT(year FROM o_orderdate), s_nationkey ORDER BY o_year, nation
-- 9, of prices, of all parts, the supplier's nation by its key
SELECT s_nationkey AS nation, EXTRACT(year FROM o_orderdate) AS o_year, SUM(l_extendedprice) AS sum_price FROM tpch.lineitem JOIN tpch.supplier ON s_suppkey = l_suppkey JOIN tpch.partsupp ON ps_suppkey = l_suppkey AND ps_partkey = l_partkey JOIN tpch.orders ON o_orderkey = l_orderkey GROUP BY s_nationkey, EXTRACT(year FROM o_orderdate) ORDER BY nation, o_year DESC
-- 10, by nation of the customer, of prices
SELECT n_name, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.orders ON l_orderkey = o_orderkey JOIN tpch.customer ON c_custkey = o_custkey JOIN tpch.nation ON c_nationkey = n_nationkey WHERE o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1994-01-01' AND l_returnflag = 'R' GROUP BY n_name ORDER BY revenue DESC LIMIT 20
-- 11, of quantities, above a number that is known before; of public data
SELECT ps_partkey, SUM(ps_availqty) AS v FROM tpch.partsupp JOIN tpch.supplier ON ps_suppkey = s_suppkey JOIN tpch.nation ON s_nationkey = n_nationkey WHERE n_name = 'GERMANY' GROUP BY ps_partkey HAVING SUM(ps_availqty) > 9000 ORDER BY v DESC
-- 12, by priority as a group
SELECT l_shipmode, o_orderpriority, COUNT(DISTINCT l_orderkey) AS orders FROM tpch.orders JOIN tpch.lineitem ON o_orderkey = l_orderkey WHERE l_shipmode IN ('MAIL', 'SHIP') AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1995-01-01' GROUP BY l_shipmode, o_orderpriority ORDER BY l_shipmode, o_orderpriority
-- 14, by type as a group, of prices
SELECT p_type, SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.part ON l_partkey = p_partkey WHERE l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01' GROUP BY p_type ORDER BY p_type
-- 15, by nation of the supplier, of prices, the nation by its key
SELECT s_nationkey, SUM(l_extendedprice) AS total_revenue FROM tpch.lineitem JOIN tpch.supplier ON s_suppkey = l_suppkey WHERE l_shipdate >= DATE '1996-01-01' AND l_shipdate < DATE '1996-04-01' GROUP BY s_nationkey ORDER BY total_revenue DESC LIMIT 1
-- 16, of all types and suppliers, of public data
SELECT p_brand, p_type, p_size, COUNT(DISTINCT ps_suppkey) AS supplier_cnt FROM tpch.partsupp JOIN tpch.part ON p_partkey = ps_partkey WHERE p_brand <> 'Brand#45' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9) GROUP BY p_brand, p_type, p_size ORDER BY supplier_cnt DESC, p_brand, p_type, p_size
-- 17, of all quantities
SELECT SUM(l_extendedprice) / 7.0 AS avg_yearly FROM tpch.lineitem JOIN tpch.part ON p_partkey = l_partkey WHERE p_brand = 'Brand#23' AND p_container = 'MED BOX'
-- 19, of prices, of all quantities
SELECT SUM(l_extendedprice) AS revenue FROM tpch.lineitem JOIN tpch.part ON p_partkey = l_partkey WHERE l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON' AND ((p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG') AND p_size BETWEEN 1 AND 5) OR (p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK') AND p_size BETWEEN 1 AND 10))
-- 21, by nation of the supplier, of all lines of orders that are done
SELECT n_name, COUNT(DISTINCT l_orderkey) AS numorders FROM tpch.lineitem JOIN tpch.supplier ON s_suppkey = l_suppkey JOIN tpch.orders ON o_orderkey = l_orderkey JOIN tpch.nation ON s_nationkey = n_nationkey WHERE o_orderstatus = 'F' GROUP BY n_name ORDER BY numorders DESC
-- 22, by nation, of all customers
SELECT n_name, COUNT(*) AS numcust, SUM(c_acctbal) AS totacctbal FROM tpch.customer JOIN tpch.nation ON c_nationkey = n_nationkey GROUP BY n_name ORDER BY n_name
