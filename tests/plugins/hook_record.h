/* What the hook of tests/plugins/hook_record.c does. */
#ifndef TESTS_PLUGINS_HOOK_RECORD_H
#define TESTS_PLUGINS_HOOK_RECORD_H

#include "hooks/hook.h"

struct hook_record_script {
	int (*event)(void *data, const struct hook_setup *setup, const struct hook_event *ev, json_t **ret,
		     struct error *e);
	bool (*wanted)(void *data, const char *name, enum hook_phase phase, const char *func_name);
	void *data;
	int alive; /* hooks made and not yet destroyed */
};

extern struct hook_record_script hook_record_script;

#endif
