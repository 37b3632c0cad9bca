#include "daemon/input.h"

#include "base/jsonx.h"
#include "base/mem.h"

#include <stdlib.h>

struct input {
	struct driver_call call;
	struct driver_share share;
	struct driver_snapshot snapshot;
	struct driver_rules rules;
	struct driver_share *shares;
	size_t n_shares, cap_shares;
	struct driver_snapshot *snapshots;
	struct driver_rule *rule[RULES_KIND_COUNT];
	size_t n_rule[RULES_KIND_COUNT];
	char *id;
	json_t *kept;
};

struct input *input_new(const char *call_id, const char *func_name)
{
	struct input *in = xcalloc(1, sizeof *in);

	in->kept = json_array();
	in->id = xstrdup(call_id);
	in->call.id = in->id;
	in->call.func_name = func_name;
	return in;
}

void input_free(struct input *in)
{
	if (!in)
		return;
	for (int k = 0; k < RULES_KIND_COUNT; k++)
		free(in->rule[k]);
	free(in->shares);
	free(in->snapshots);
	free(in->id);
	json_decref(in->kept);
	free(in);
}

struct driver_call *input_call(struct input *in)
{
	return &in->call;
}

json_t *input_keep(struct input *in, json_t *j)
{
	if (j)
		json_array_append(in->kept, j);
	return j;
}

static void fill_share(struct input *in, struct driver_share *s, const json_t *row, const json_t *instance)
{
	input_keep(in, (json_t *)row);
	input_keep(in, (json_t *)instance);
	s->id = jsonx_str(instance, "id");
	s->share_id = jsonx_str(row, "id");
	s->name = jsonx_str(row, "name");
	s->share_proto = jsonx_str(row, "share_proto");
	s->export_number = (unsigned)jsonx_int(instance, "export_number");
	s->size_bytes = (uint64_t)jsonx_int(row, "size_bytes");
	s->provider_location = jsonx_str(instance, "provider_location");
	s->replica_state = jsonx_str(instance, "replica_state");
	s->uid = (uid_t)jsonx_int(row, "root_uid");
	s->gid = (gid_t)jsonx_int(row, "root_gid");
	s->mode = (mode_t)jsonx_int(row, "root_mode");
	s->metadata = jsonx_get(row, "metadata");
	s->server_details = NULL;
	s->backend = jsonx_str(instance, "backend");
	s->path = NULL;
}

void input_share(struct input *in, const json_t *share_row, const json_t *instance_row)
{
	fill_share(in, &in->share, share_row, instance_row);
	in->call.share = &in->share;
}

void input_server(struct input *in, const json_t *server_row)
{
	input_keep(in, (json_t *)server_row);
	in->share.server_details = server_row ? jsonx_get(server_row, "backend_details") : NULL;
}

void input_add_share(struct input *in, const json_t *share_row, const json_t *instance_row)
{
	if (in->n_shares == in->cap_shares) {
		in->cap_shares = in->cap_shares ? 2 * in->cap_shares : 16;
		in->shares = xrealloc(in->shares, in->cap_shares * sizeof *in->shares);
	}
	fill_share(in, &in->shares[in->n_shares++], share_row, instance_row);
	in->call.shares = in->shares;
	in->call.n_shares = in->n_shares;
}

void input_add_server(struct input *in, const json_t *server_row)
{
	input_keep(in, (json_t *)server_row);
	in->shares[in->n_shares - 1].server_details = server_row ? jsonx_get(server_row, "backend_details") : NULL;
}

void input_add_place(struct input *in, json_t *path)
{
	in->shares[in->n_shares - 1].path = json_string_value(input_keep(in, path));
}

static void fill_snapshot(struct input *in, struct driver_snapshot *s, const json_t *row, const json_t *instance)
{
	input_keep(in, (json_t *)row);
	input_keep(in, (json_t *)instance);
	s->id = jsonx_str(instance, "id");
	s->snapshot_id = jsonx_str(row, "id");
	s->name = jsonx_str(row, "name");
	s->share_instance_id = jsonx_str(instance, "instance_id");
	s->size_bytes = (uint64_t)jsonx_int(row, "size_bytes");
	s->provider_location = jsonx_str(instance, "provider_location");
	s->status = jsonx_str(instance, "status");
}

void input_snapshot(struct input *in, const json_t *row, const json_t *instance)
{
	fill_snapshot(in, &in->snapshot, row, instance);
	in->call.snapshot = &in->snapshot;
}

void input_add_snapshot(struct input *in, const json_t *row, const json_t *instance)
{
	size_t n = in->call.n_snapshots++;

	in->snapshots = xrealloc(in->snapshots, (n + 1) * sizeof *in->snapshots);
	fill_snapshot(in, &in->snapshots[n], row, instance);
	in->call.snapshots = in->snapshots;
}

void input_rules_begin(struct input *in)
{
	in->call.rules = &in->rules;
}

void input_rule(struct input *in, enum input_rules kind, const json_t *row)
{
	struct driver_rule *r;

	input_rules_begin(in);
	input_keep(in, (json_t *)row);
	in->rule[kind] = xrealloc(in->rule[kind], (in->n_rule[kind] + 1) * sizeof *r);
	r = &in->rule[kind][in->n_rule[kind]++];
	r->id = jsonx_str(row, "id");
	r->access_type = jsonx_str(row, "access_type");
	r->access_to = jsonx_str(row, "canonical");
	r->access_level = jsonx_str(row, "access_level");
	r->options = jsonx_get(row, "options");
	in->rules = (struct driver_rules){
		.all = in->rule[RULES_ALL],
		.n_all = in->n_rule[RULES_ALL],
		.add = in->rule[RULES_ADD],
		.remove = in->rule[RULES_REMOVE],
		.update = in->rule[RULES_UPDATE],
		.n_add = in->n_rule[RULES_ADD],
		.n_remove = in->n_rule[RULES_REMOVE],
		.n_update = in->n_rule[RULES_UPDATE],
	};
}
