-- tables.sql - tables, indexes, joins, text and deletes in memory. A benchmark's input: sqlite3 :memory: < tables.sql
-- The rows come from arithmetic, so every run has the same. Each query prints one line.

CREATE TABLE numbers (n INTEGER PRIMARY KEY);
WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 40000)
INSERT INTO numbers SELECT n FROM up;

CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
INSERT INTO customers
SELECT n, printf('customer-%05d', n * 7919 % 100003), printf('city-%03d', n * 31 % 211) FROM numbers WHERE n <= 8000;

CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, amount INTEGER, note TEXT);
INSERT INTO orders
SELECT n, n * 2654435761 % 8000 + 1, printf('item-%d', n * 17 % 1009), n * 193 % 5003,
       substr('the quick brown fox jumps over the lazy dog, again and again and again', 1, n * 13 % 70)
FROM numbers;

CREATE INDEX orders_customer ON orders (customer);
CREATE INDEX orders_item ON orders (item, amount);
CREATE INDEX customers_city ON customers (city, name);

SELECT 'by city', count(*), sum(total) FROM (
    SELECT city, sum(amount) AS total FROM customers JOIN orders ON orders.customer = customers.id GROUP BY city);

SELECT 'best items', group_concat(item) FROM (
    SELECT item, sum(amount) AS total FROM orders GROUP BY item ORDER BY total DESC, item LIMIT 5);

SELECT 'above average', count(*) FROM orders o
WHERE amount > (SELECT avg(amount) FROM orders WHERE customer = o.customer);

SELECT 'text', sum(length(t)) FROM (
    SELECT upper(note) || ' ' || replace(item, 'item', 'thing') || ' ' || hex(name) AS t
    FROM orders JOIN customers ON customers.id = orders.customer ORDER BY t);

BEGIN;
UPDATE orders SET note = note || ' / ' || item WHERE id % 3 = 0;
DELETE FROM orders WHERE customer % 5 = 0;
INSERT INTO orders SELECT n + 100000, n % 8000 + 1, 'item-again', n % 100, hex(n) FROM numbers WHERE n % 2 = 0;
COMMIT;

SELECT 'json', sum(length(j)) FROM (
    SELECT customer, json_group_array(json_object('item', item, 'amount', amount)) AS j FROM orders GROUP BY customer);

SELECT 'left', count(*), sum(amount), sum(length(note)) FROM orders;
