-- Work for sqlite3: 300,000 rows, indices, joins, windows, JSON, full text, blobs, vacuum.
pragma journal_mode = wal;
pragma cache_size = -40000;
create table person(id integer primary key, name text, town int, born int, note blob);
create table town(id integer primary key, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into town select i, 'town ' || hex(i * 7919) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
insert into person select i, 'name ' || ((i * 7368787) % 1000003), (i * 31) % 500 + 1, 1900 + (i * 17) % 120,
    zeroblob(i % 97) from n;
create index person_name on person(name);
create index person_town on person(town, born);
select t.name, count(*), min(p.name), max(p.born), sum(length(p.note)) from person p join town t on t.id = p.town
    group by t.id having count(*) > 1 order by t.name limit 40;
select born, name, rank() over (partition by born order by name) as place from person where town < 20
    order by place desc, born limit 40;
select count(*) from person a join person b on a.town = b.town and a.born = b.born + 1 where a.town < 60;
select length(group_concat(name, ',')) from person;
select json_array_length(json_group_array(json_object('id', id, 'name', name))) from person where id < 60000;
create virtual table page using fts5(body);
insert into page select name || ' lives in ' || town || ' since ' || born from person where id % 10 = 0;
select count(*) from page where page match '1950 OR "in 77"';
begin;
update person set name = name || '!' where id % 3 = 0;
delete from person where id % 5 = 0;
rollback;
update person set note = zeroblob(2000) where id % 40 = 0;
delete from person where id % 4 = 0;
select count(*), sum(length(note)), count(distinct name) from person;
vacuum;
pragma integrity_check;
pragma foreign_key_check;
.backup copy.db
.mode json
select * from person order by name desc limit 5;
