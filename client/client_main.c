/* sharesctl: the command line of sharesd. */
#include "base/mem.h"
#include "client/program.h"

#include <locale.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct ctl c = {
		.in = stdin,
		.out = stdout,
		.err = stderr,
		.in_tty = isatty(STDIN_FILENO),
		.out_tty = isatty(STDOUT_FILENO),
		.err_tty = isatty(STDERR_FILENO),
	};

	mem_setup();
	/* How wide characters are; numbers and sizes keep their one form. */
	setlocale(LC_CTYPE, "");
	return program_run(&c, argc, argv);
}
