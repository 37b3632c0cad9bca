#include "drivers/export/ganesha_rules.h"

#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#define NOBODY 65534
/* Prefix of the widest IPv6 network that is told to Ganesha host by host. */
#define FEWEST_HOSTS 120

/* Ganesha has the same words. */
static const char *const squashes[] = { "root_squash", "root_id_squash", "all_squash", "no_root_squash", NULL };
static const char *const flavours[] = { "sys", "krb5", "krb5i", "krb5p", NULL };

/* The word that `name`, of this length, is: ours, not the client's. */
static const char *find_word(const char *const *words, const char *name, size_t n)
{
	for (; *words; words++)
		if (strlen(*words) == n && strncmp(*words, name, n) == 0)
			return *words;
	return NULL;
}

/* ---- options: NULL, or why not; the reason is the caller's ---- */

static char *read_squash(const json_t *options, struct ganesha_client *c)
{
	const json_t *v = jsonx_get(options, "squash");
	const char *text = json_is_string(v) ? json_string_value(v) : "";

	c->squash = v ? find_word(squashes, text, strlen(text)) : "root_squash";
	if (c->squash)
		return NULL;
	return xstrdup("squash is none of root_squash, root_id_squash, all_squash, no_root_squash");
}

/* One flavour or more, as mount.nfs and exports(5) write them: "krb5:krb5i". */
static char *read_sec(const json_t *options, struct ganesha_client *c)
{
	const json_t *v = jsonx_get(options, "sec");
	const char *text = json_is_string(v) ? json_string_value(v) : "";
	char *all = v ? NULL : xstrdup("sys");

	for (const char *p = text; v; p += strcspn(p, ":,") + 1) {
		const char *word = find_word(flavours, p, strcspn(p, ":,"));
		char *longer;

		if (!word || (all && strlen(all) > 64)) {
			free(all);
			return xstrdup(
				"sec is none of sys, krb5, krb5i, krb5p, nor several of them with \":\" between");
		}
		longer = all ? xasprintf("%s, %s", all, word) : xstrdup(word);
		free(all);
		all = longer;
		if (p[strcspn(p, ":,")] == '\0')
			break;
	}
	c->sec = all;
	return NULL;
}

/* A number, or one written as text. All ones is what the kernel takes for "no user". */
static char *read_id(const json_t *options, const char *key, uint32_t *ret)
{
	const json_t *v = jsonx_get(options, key);
	const char *text = json_is_string(v) ? json_string_value(v) : "";
	size_t digits = strspn(text, "0123456789");
	json_int_t number = -1;

	if (json_is_integer(v))
		number = json_integer_value(v);
	else if (digits > 0 && digits <= 10 && text[digits] == '\0')
		number = strtoll(text, NULL, 10);
	else if (!v)
		number = NOBODY;
	if (number < 0 || number >= UINT32_MAX)
		return xasprintf("%s is no number from 0 to %" PRIu32, key, UINT32_MAX - 1);
	*ret = (uint32_t)number;
	return NULL;
}

/* How many parts Ganesha needs for an address. Its parser does not read a prefix of 0: two halves then; nor one of
 * three digits: all hosts then, where they are few. 0: it cannot be said. */
static unsigned count_parts(const struct address *a)
{
	if (a->prefix == 0)
		return 2;
	if (a->prefix < 100 || address_is_host(a))
		return 1;
	return a->prefix >= FEWEST_HOSTS ? 1U << (128 - a->prefix) : 0;
}

static char *read_rule(const struct driver_rule *rule, bool read_only, struct ganesha_client *c)
{
	char *why;

	if (strcmp(rule->access_type, "ip") != 0)
		return xasprintf("NFS has no rules of type %s", rule->access_type);
	if (address_parse(rule->access_to, &c->address) < 0)
		return xstrdup("access_to is neither an address nor a network");
	if (count_parts(&c->address) == 0)
		return xasprintf(
			"NFS-Ganesha has no IPv6 networks with a prefix of 100 to %u: take a wider or a smaller one",
			FEWEST_HOSTS - 1);
	if (strcmp(rule->access_level, "rw") != 0 && strcmp(rule->access_level, "ro") != 0)
		return xasprintf("NFS has no access level %s", rule->access_level);
	c->writes = !read_only && strcmp(rule->access_level, "rw") == 0;
	if ((why = read_squash(rule->options, c)) || (why = read_id(rule->options, "anonuid", &c->anonuid)) ||
	    (why = read_id(rule->options, "anongid", &c->anongid)))
		return why;
	return read_sec(rule->options, c);
}

/* ---- the rules of a share ---- */

static void clear_client(struct ganesha_client *c)
{
	free(c->sec);
}

static bool is_there(const struct ganesha_clients *c, const struct address *a)
{
	for (size_t i = 0; i < c->n; i++)
		if (address_compare(&c->all[i].address, a) == 0)
			return true;
	return false;
}

static int compare_clients(const void *a, const void *b)
{
	return address_compare(&((const struct ganesha_client *)a)->address,
			       &((const struct ganesha_client *)b)->address);
}

void ganesha_rules_read(const struct driver_rule *rules, size_t n, bool read_only, json_t *results,
			struct ganesha_clients *ret)
{
	struct ganesha_clients all = { .all = xcalloc(n + 1, sizeof(*all.all)) };

	for (size_t i = 0; i < n; i++) {
		struct ganesha_client one = { 0 };
		_cleanup_free_ char *why = read_rule(&rules[i], read_only, &one);

		if (!why && is_there(&all, &one.address))
			why = xstrdup("another rule is for the same address");
		if (why) {
			clear_client(&one);
			json_object_set_new(results, rules[i].id,
					    jsonx_pack("{s:s,s:s}", "state", "error", "reason", why));
			continue;
		}
		all.all[all.n++] = one;
		json_object_set_new(results, rules[i].id, jsonx_pack("{s:s}", "state", "active"));
	}
	qsort(all.all, all.n, sizeof(*all.all), compare_clients);
	*ret = all;
}

void ganesha_clients_clear(struct ganesha_clients *c)
{
	for (size_t i = 0; i < c->n; i++)
		clear_client(&c->all[i]);
	free(c->all);
	*c = (struct ganesha_clients){ 0 };
}

/* ---- as Ganesha has them ---- */

static struct address part_of(const struct address *a, unsigned i)
{
	struct address part = *a;

	if (a->prefix == 0) {
		part.prefix = 1;
		part.bytes[0] = i ? 0x80 : 0;
	} else if (count_parts(a) > 1) {
		part.prefix = 128;
		part.bytes[15] |= (unsigned char)i;
	}
	return part;
}

void ganesha_clients_write(const struct ganesha_clients *c, FILE *to)
{
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < c->n; i++) {
		const struct ganesha_client *one = &c->all[i];

		fputs("\tCLIENT { Clients = ", to);
		for (unsigned k = 0; k < count_parts(&one->address); k++) {
			struct address part = part_of(&one->address, k);

			fprintf(to, "%s%s", k ? ", " : "", address_format(&part, text));
		}
		fprintf(to,
			"; Access_Type = %s; Squash = %s; SecType = %s; Anonymous_Uid = %" PRIu32
			"; Anonymous_Gid = %" PRIu32 "; }\n",
			one->writes ? "RW" : "RO", one->squash, one->sec, one->anonuid, one->anongid);
	}
}

bool ganesha_clients_are(const struct ganesha_clients *c, const char *const *shown, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < c->n; i++)
		for (unsigned k = 0; k < count_parts(&c->all[i].address); k++, at++) {
			struct address part = part_of(&c->all[i].address, k), is;

			if (at >= n || address_parse(shown[at], &is) < 0 || address_compare(&part, &is) != 0)
				return false;
		}
	return at == n;
}
