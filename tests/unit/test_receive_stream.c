/* Where a stream of btrfs send ends, however it is cut. */
#include "drivers/receive_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { DATA = 300, WRITE = 15, END = 21 };

static unsigned char stream[1024];
static size_t length;

static void command(unsigned what, size_t n)
{
	unsigned char *h = stream + length;

	memset(h, 0, 10 + n);
	h[0] = (unsigned char)n;
	h[1] = (unsigned char)(n >> 8);
	h[4] = (unsigned char)what;
	/* Data that look like an end. */
	if (n)
		memset(h + 10, END, n);
	length += 10 + n;
}

static void make(void)
{
	static const unsigned char head[17] = "btrfs-stream\0\1\0\0";

	memcpy(stream, head, sizeof head);
	length = 17;
	command(WRITE, DATA);
	command(WRITE, 0);
	command(END, 0);
}

/* In pieces. */
static bool is_whole(size_t n, size_t piece)
{
	struct receive_stream s = { 0 };

	for (size_t at = 0; at < n; at += piece)
		receive_stream_feed(&s, stream + at, n - at < piece ? n - at : piece);
	return receive_stream_is_whole(&s);
}

START_TEST(whole_at_its_end_alone)
{
	make();
	for (size_t piece = 1; piece <= length; piece++)
		for (size_t n = 0; n <= length; n++)
			ck_assert_msg(is_whole(n, piece) == (n == length), "%zu of %zu in pieces of %zu", n, length,
				      piece);
}
END_TEST

START_TEST(what_is_none)
{
	make();
	/* Something after the end. */
	command(WRITE, 0);
	ck_assert(!is_whole(length, 7));
	ck_assert(!is_whole(length, length));
	/* An end with data. */
	length = 17;
	command(END, 4);
	ck_assert(!is_whole(length, length));
	make();
	stream[3] = 'x';
	ck_assert(!is_whole(length, length));
	ck_assert(!is_whole(0, 1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("receive_stream");
	TCase *tc = tcase_create("receive_stream");
	SRunner *sr;
	int failures;

	tcase_add_test(tc, whole_at_its_end_alone);
	tcase_add_test(tc, what_is_none);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
