/* One row of an option table: what a conf file may say. Tables belong to who uses the option (the daemon, a driver,
 * a hook module) and are assembled at run time (conf/conf.h). A table ends with a row whose name is NULL. Public. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

enum option_type {
	OPTION_STRING,
	OPTION_BOOL,
	OPTION_INT,     /* min and max, both inclusive */
	OPTION_SECONDS, /* a number with fraction; min and max */
	OPTION_SIZE,    /* "10GiB", bytes; min and max */
	OPTION_MODE,    /* octal text, "0770" */
	OPTION_CHOICE,  /* one of `choices` */
	OPTION_LIST,    /* {"a", "b"}; with `choices`: each one of them */
};

enum option_flag {
	OPTION_REQUIRED = 1 << 0,
	OPTION_FIXED = 1 << 1,     /* a reload that changes it is refused */
	OPTION_ABOVE_MIN = 1 << 2, /* min itself is not allowed */
	OPTION_ABSOLUTE = 1 << 3,  /* a path from "/" */
	OPTION_USER = 1 << 4,      /* programs run as this user: refused where the daemon may not become him */
	OPTION_SECRET = 1 << 5,    /* shown to nobody: not in the events of hooks */
	OPTION_MOUNTS = 1 << 6,    /* a driver that has it changes file systems: refused where the daemon may not */
};

struct option {
	const char *name;
	enum option_type type;
	const char *fallback; /* the default as one would write it, without quotes; lists: NULL is empty, else
				 comma-separated */
	double min, max;      /* 0, 0: no bounds */
	const char *const *choices;
	unsigned flags;
	const char *help; /* one sentence for the manual */
};

#endif
