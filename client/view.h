/* How answers look: lists as tables, objects as "key: value" lines, for people; JSON for programs. */
#ifndef CLIENT_VIEW_H
#define CLIENT_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum cell {
	CELL_TEXT,
	CELL_STATUS,
	CELL_SIZE,
	CELL_SECONDS, /* of a member in milliseconds */
	CELL_COUNT,   /* of an array's or object's members */
	CELL_NUMBER,
	CELL_LIST,   /* an array or object on one line */
	CELL_EXPORT, /* the preferred one of an array of export locations */
};

struct view_column {
	const char *title;
	/* Member, "a.b" for one inside; "a|b": the first of these that is not null. */
	const char *path;
	enum cell cell;
};

struct list_view {
	const char *member;                /* of the answer: "shares" */
	const struct view_column *columns; /* title NULL ends */
	bool newest_first;                 /* the daemon gives the oldest first, and people look for the others */
	bool names_share;                  /* items have a share_id; its name is looked up for the member "share" */
	const char *none;                  /* what is said on a terminal where the list is empty */
};

extern const struct list_view view_shares, view_snapshots, view_access_rules, view_replicas, view_share_servers,
	view_share_networks, view_backends, view_hooks, view_orphans, view_calls, view_health;

/* The table of an array of objects; nothing but the header line when it is empty. */
void view_print_list(const struct list_view *view, const json_t *items, bool colours, FILE *to);
/* "key: value" lines; what is inside is indented. A value that is no object is printed as it is, null not at all. */
void view_print_object(const json_t *o, FILE *to);
void view_print_json(const json_t *value, bool pretty, FILE *to);
/* "1.5GiB"; with the exact number behind it where that says less: "1.5GiB (1610612737 bytes)". Owned by the caller. */
char *view_exact_size(json_int_t bytes);

#endif
