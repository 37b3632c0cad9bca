#include "daemon/store_sql.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void put_where(FILE *f, const struct store_schema *s, const struct sql_key *key)
{
	const char *before = " WHERE ";

	for (unsigned i = 0; i < s->count; i++) {
		if (!(key->set & 1u << i))
			continue;
		fprintf(f, "%s%s %s", before, s->columns[i].name, key->nulls & 1u << i ? "IS NULL" : "= ?");
		before = " AND ";
	}
}

static void put_insert(FILE *f, const struct store_schema *s)
{
	fprintf(f, "INSERT INTO %s (", s->name);
	for (unsigned i = STORE_FIRST; i < s->count; i++)
		fprintf(f, "%s%s", i == STORE_FIRST ? "" : ", ", s->columns[i].name);
	fputs(") VALUES (", f);
	for (unsigned i = STORE_FIRST; i < s->count; i++)
		fputs(i == STORE_FIRST ? "?" : ", ?", f);
	fputs(")", f);
}

static void put_update(FILE *f, const struct store_schema *s, const struct sql_key *key)
{
	const char *before = "SET";

	fprintf(f, "UPDATE %s ", s->name);
	for (unsigned i = 0; i < s->count; i++) {
		if (!(key->set & 1u << i))
			continue;
		fprintf(f, "%s %s = ?", before, s->columns[i].name);
		before = ",";
	}
	fputs(key->kind == SQL_UPDATE_SEQ ? " WHERE seq = ?" : " WHERE id = ?", f);
}

static void put_select(FILE *f, const struct store_schema *s, const struct sql_key *key)
{
	bool newest = key->kind == SQL_SELECT_NEWEST;

	for (unsigned i = 0; i < s->count; i++)
		fprintf(f, "%s%s", i == 0 ? "SELECT " : ", ", s->columns[i].name);
	fprintf(f, " FROM %s", s->name);
	put_where(f, s, key);
	fprintf(f, " %s seq %s ? ORDER BY seq%s LIMIT ?", key->set ? "AND" : "WHERE", newest ? "<" : ">",
		newest ? " DESC" : "");
}

static const char *fixed_text(enum sql_kind kind)
{
	switch (kind) {
	case SQL_BEGIN_READ:
		return "BEGIN";
	/* At once the writer's: a transaction that could not write is refused before anything is done in it. */
	case SQL_BEGIN_WRITE:
		return "BEGIN IMMEDIATE";
	case SQL_COMMIT:
		return "COMMIT";
	case SQL_ROLLBACK:
		return "ROLLBACK";
	/* In halves: sizes go up to 2^63-1, and SQLite's sum refuses to pass that. */
	case SQL_ALLOCATED_BYTES:
		return "SELECT ifnull(sum(size_bytes >> 32), 0), ifnull(sum(size_bytes & 0xffffffff), 0) FROM shares"
		       " WHERE id IN (SELECT share_id FROM instances WHERE backend = ?)";
	/* Once the highest is in use, the lowest that is not. */
	case SQL_FREE_EXPORT_NUMBER:
		return "SELECT CASE WHEN ifnull(max(export_number), 0) < 65535 THEN ifnull(max(export_number), 0) + 1"
		       " ELSE (SELECT min(n) FROM (SELECT 1 AS n UNION ALL SELECT export_number + 1 FROM instances)"
		       " WHERE n <= 65535 AND n NOT IN (SELECT export_number FROM instances"
		       " WHERE export_number IS NOT NULL)) END FROM instances";
	case SQL_COUNT_EXPORTS:
		return "SELECT count(*) FROM instances WHERE backend = ? AND export_number IS NOT NULL";
	case SQL_PRUNE_CALLS:
		return "DELETE FROM calls WHERE seq <= (SELECT seq FROM calls ORDER BY seq DESC LIMIT 1 OFFSET ?)"
		       " AND state IN ('done', 'interrupted') AND (request_id IS NULL"
		       " OR ifnull(ended_at, started_at) < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day'))";
	/* Events go only here, so their numbers have no gaps, and the last one is always there. */
	case SQL_PRUNE_EVENTS:
		return "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?";
	case SQL_LAST_EVENT:
		return "SELECT ifnull(max(seq), 0) FROM events";
	case SQL_INSERT:
	case SQL_UPDATE:
	case SQL_UPDATE_SEQ:
	case SQL_DELETE:
	case SQL_SELECT:
	case SQL_SELECT_NEWEST:
	case SQL_COUNT:
		break;
	}
	abort();
}

char *sql_text(const struct sql_key *key)
{
	const struct store_schema *s = &store_schemas[key->table];
	char *text = NULL;
	size_t size;
	FILE *f;

	if (key->kind >= SQL_BEGIN_READ)
		return xstrdup(fixed_text(key->kind));
	if (!(f = open_memstream(&text, &size)))
		abort();
	if (key->kind == SQL_INSERT) {
		put_insert(f, s);
	} else if (key->kind == SQL_UPDATE || key->kind == SQL_UPDATE_SEQ) {
		put_update(f, s, key);
	} else if (key->kind == SQL_DELETE) {
		fprintf(f, "DELETE FROM %s WHERE id = ?", s->name);
	} else if (key->kind == SQL_COUNT) {
		fprintf(f, "SELECT count(*) FROM %s", s->name);
		put_where(f, s, key);
	} else {
		put_select(f, s, key);
	}
	if (fclose(f) != 0)
		abort();
	return text;
}
