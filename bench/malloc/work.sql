-- work.sql - inserts, an index, sorting and grouping, in memory.
-- SPDX-License-Identifier: MIT
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO t SELECT i, 'name' || (i * 7919 % 100003), i * 0.5 FROM n;
CREATE INDEX t_name ON t(name);
SELECT count(*), sum(length(name)) FROM t;
SELECT count(*) FROM (SELECT name, count(*) FROM t GROUP BY name ORDER BY 2 DESC, 1);
SELECT count(*) FROM t AS a JOIN t AS b ON a.name = b.name AND a.id < b.id;
UPDATE t SET name = name || '-' || id WHERE id % 3 = 0;
SELECT sum(length(name)) FROM t;
