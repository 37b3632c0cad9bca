#include "tests/fuzz/marks.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "drivers/table.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BACKEND "00000000-0000-4000-8000-00000000000b"
#define SHARE   "00000000-0000-4000-8000-0000000000a1"
#define CALL    "00000000-0000-4000-8000-0000000000c1"

static const char *root;
static const struct settings *settings;
static const struct share_driver_ops *ops;

static const struct driver_share share = { .id = SHARE,
					   .share_id = "00000000-0000-4000-8000-00000000005a",
					   .name = "one",
					   .share_proto = "LOCAL",
					   .size_bytes = 1 << 20,
					   .mode = 0750,
					   .provider_location = "one" };

void marks_setup(const char *the_root, const struct settings *s)
{
	_cleanup_free_ char *outside = xasprintf("%s-outside", the_root), *file = xasprintf("%s/file", outside);

	root = the_root;
	settings = s;
	ops = driver_find("dir");
	FUZZ_CHECK(mkdir(outside, 0755) == 0 && chmod(outside, 0755) == 0, "%s: %m", outside);
	fuzz_write_file(file, "x", 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int invoke(void *backend, driver_slot *slot, const struct driver_call *call)
{
	struct driver_result result = { 0 };
	_cleanup_error_ struct error e = ERROR_INIT;
	int r = slot(backend, call, &result, &e);

	if (r < 0)
		fuzz_check_error(&e);
	json_decref(result.values);
	/* What it hands over to be done behind is left undone. */
	driver_work_free(result.work);
	return r;
}

static void make_root(void *backend)
{
	struct driver_call call = { .id = CALL, .share = &share, .root_is_empty = true };

	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	FUZZ_CHECK(mkdir(root, 0755) == 0, "%s: %m", root);
	FUZZ_CHECK(invoke(backend, ops->do_setup, &call) == 0, "do_setup");
	FUZZ_CHECK(invoke(backend, ops->create_share, &call) == 0, "create_share");
}

static void put_mark(const char *text, size_t len)
{
	_cleanup_free_ char *backend = xasprintf("%s/.sharesd/backend", root),
			    *file = xasprintf("%s/.sharesd/objects/" SHARE, root), *gate = xasprintf("%s/one", root);

	if (len && *text == 'b') {
		fuzz_write_file(backend, text + 1, len - 1);
		return;
	}
	/* Whichever of the two this file system makes it believe. */
	fuzz_write_file(file, text, len);
	(void)setxattr(gate, "user.sharesd", text, len, 0);
}

static void check_outside(void)
{
	_cleanup_free_ char *outside = xasprintf("%s-outside", root), *file = xasprintf("%s/file", outside);
	struct stat st;

	FUZZ_CHECK(stat(outside, &st) == 0 && (st.st_mode & 07777) == 0755, "%s was changed", outside);
	FUZZ_CHECK(stat(file, &st) == 0 && st.st_size == 1 && st.st_nlink == 1, "%s was changed", file);
}

static void use(void *backend)
{
	static const struct driver_rule rule = {
		.id = "r", .access_type = "user", .access_to = "root", .access_level = "rw"
	};
	const struct driver_rules rules = { .all = &rule, .n_all = 1 };
	struct driver_call call = {
		.id = CALL, .share = &share, .shares = &share, .n_shares = 1, .rules = &rules, .new_size_bytes = 2 << 20
	};

	invoke(backend, ops->do_setup, &call);
	invoke(backend, ops->check_for_setup_error, &call);
	invoke(backend, ops->ensure_shares, &call);
	invoke(backend, ops->list_objects, &call);
	invoke(backend, ops->get_share_status, &call);
	invoke(backend, ops->update_access, &call);
	invoke(backend, ops->extend_share, &call);
	invoke(backend, ops->create_share, &call);
	invoke(backend, ops->unmanage, &call);
	invoke(backend, ops->manage_existing, &call);
	invoke(backend, ops->delete_share, &call);
}

void marks_run(const char *text, size_t len)
{
	struct driver_setup setup = { .name = "d", .id = BACKEND, .settings = settings };
	_cleanup_error_ struct error e = ERROR_INIT;
	void *backend = NULL;

	FUZZ_CHECK(ops->create(&setup, &backend, &e) == 0, "%s", e.message);
	make_root(backend);
	put_mark(text, len);
	use(backend);
	check_outside();
	ops->destroy(backend);
}
