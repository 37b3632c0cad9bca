/* That what measures the hooks still works; how fast anything is, is not asked here. */
#include "base/cleanup.h"
#include "tests/e2e/harness.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The row of this module has the bare work's figure and four of hooks, each with a ratio; they may be anything but for
 * the first, for there is noise. A module may be left out only with its reason. */
static void has_row(const char *table, const char *title)
{
	enum { FIGURES = 9 };
	const char *row = strstr(table, title);
	char *end;

	ck_assert_msg(row != NULL, "no row \"%s\" in:\n%s", title, table);
	row += strlen(title);
	if (strncmp(row + strspn(row, " "), "not measured: ", strlen("not measured: ")) == 0)
		return;
	for (int i = 0; i < FIGURES; i++, row = end) {
		double value = strtod(row, &end);

		ck_assert_msg(end != row && (i > 0 || value > 0), "figure %d of row \"%s\" in:\n%s", i, title, table);
	}
	ck_assert_msg(*row == '\n', "more than %d figures in row \"%s\" of:\n%s", FIGURES, title, table);
}

START_TEST(hooks_are_measured)
{
	static const char *const titles[] = {
		"\nshared object",        "\njournal",      "\ncoproc",          "\npython",
		"\nwebhook, Unix socket", "\nwebhook, TCP", "\nexec, a program", "\nexec, a directory"
	};
	_cleanup_free_ char *table = NULL;
	int status = shell(&table, "'%s' '%s' 1 2 2>&1", program_path("tests/bench/bench_hooks"), program_path("."));

	ck_assert_msg(status == 0, "exit status %d:\n%s", status, table);
	for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
		has_row(table, titles[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bench");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_test(t, hooks_are_measured);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
