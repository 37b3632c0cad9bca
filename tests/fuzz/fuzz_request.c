/* Request lines, in odd pieces, through the whole daemon with simulated backends. Each line gets its one answer, and
 * whatever was asked for, all that is in the store can be shown afterwards and no call is left half done. */
#include "base/cleanup.h"
#include "base/jsonx.h"
#include "base/mem.h"
#include "tests/fuzz/one_thread.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct one_thread *daemon_here;
static char *conf_file, *db_path;
static char *template; /* the database as every input finds it */
static size_t template_len;

static const char conf_text[] =
	"state_dir = \"%s/state\"\n"
	"socket = \"%s/socket\"\n"
	"max_request_bytes = 2KiB\n"
	"max_request_depth = 12\n"
	"max_batch_entries = 6\n"
	"sim \"a\" { capacity = 1TiB }\n"
	"sim \"b\" {\n"
	"  capacity = 10GiB\n"
	"  fail = {\"create_snapshot:EIO@2\", \"extend_share:ENOSPC\", \"shrink_share:ENOTEMPTY\",\n"
	"    \"delete_snapshot:EIO\", \"manage_existing:ENOENT\", \"update_access:EIO@3\"}\n"
	"}\n";

static const char *const first_calls[] = {
	"create_share_instance",
	"{\"name\":\"one\",\"size_bytes\":1073741824,\"backend\":\"a\",\"share_proto\":\"NFS\"}",
	"create_share_instance",
	"{\"name\":\"two\",\"size_bytes\":1048576,\"backend\":\"b\",\"metadata\":{\"k\":\"v\"}}",
	"create_snapshot",
	"{\"share\":\"one\",\"name\":\"monday\",\"request_id\":\"r1\"}",
	"create_snapshot",
	"{\"share\":\"two\",\"name\":\"monday\"}",
	"allow_access",
	"{\"share\":\"one\",\"access_type\":\"ip\",\"access_to\":\"10.0.0.0/8\"}",
	NULL,
};

static void start(void)
{
	_cleanup_error_ struct error e = ERROR_INIT;

	FUZZ_CHECK(one_thread_start(conf_file, fuzz_directory(), &daemon_here, &e) == 0, "%s", e.message);
}

static void stop(void)
{
	one_thread_stop(daemon_here);
	daemon_here = NULL;
}

static void keep_database(void)
{
	int fd = open(db_path, O_RDONLY | O_CLOEXEC);

	template_len = (size_t)lseek(fd, 0, SEEK_END);
	template = xmalloc(template_len);
	FUZZ_CHECK(pread(fd, template, template_len, 0) == (ssize_t)template_len, "cannot read %s", db_path);
	close(fd);
}

void fuzz_setup(void)
{
	const char *dir = fuzz_directory();
	_cleanup_free_ char *text = xasprintf(conf_text, dir, dir);

	conf_file = xasprintf("%s/conf", dir);
	db_path = xasprintf("%s/state/sharesd.db", dir);
	fuzz_write_file(conf_file, text, strlen(text));
	start();
	for (const char *const *c = first_calls; *c; c += 2) {
		_cleanup_json_ json_t *answer = one_thread_call(daemon_here, c[0], json_loads(c[1], 0, NULL));

		FUZZ_CHECK(!json_object_get(answer, "error"), "%s", jsonx_dump(answer));
	}
	stop();
	keep_database();
	start();
}

static void check_list(const char *method)
{
	_cleanup_json_ json_t *answer = one_thread_call(daemon_here, method, NULL);

	FUZZ_CHECK(!json_object_get(answer, "error"), "%s: %s", method, jsonx_dump(answer));
}

static void check_state(const char *state)
{
	_cleanup_json_ json_t *where = jsonx_pack("{s:s}", "state", state);
	int64_t n = -1;

	FUZZ_CHECK(store_count(one_thread_store(daemon_here), STORE_CALLS, where, &n, NULL) == 0 && n == 0,
		   "%lld calls are left in state %s", (long long)n, state);
}

/* What changed something must not have left what cannot be shown. */
static void check_rest(void)
{
	check_list("list_shares");
	check_list("list_snapshots");
	check_list("list_access_rules");
	check_list("list_calls");
	check_state("intent");
	check_state("working");
	check_state("post_hooks");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_random r = fuzz_random_of(data, size);
	size_t len, calls = one_thread_calls(daemon_here);
	_cleanup_free_ char *answers = one_thread_talk(daemon_here, (const char *)data, size, &r, &len);

	one_thread_check_answers(daemon_here, (const char *)data, size, answers, len);
	if (one_thread_calls(daemon_here) == calls)
		return 0;
	check_rest();
	stop();
	fuzz_write_file(db_path, template, template_len);
	start();
	return 0;
}
