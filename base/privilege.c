#include "base/privilege.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BIT(cap) ((uint64_t)1 << (cap))

static bool has(uint64_t wanted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t effective;

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return (effective & wanted) == wanted;
}

bool privilege_files(void)
{
	return has(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID));
}

bool privilege_users(void)
{
	return has(BIT(CAP_SETUID) | BIT(CAP_SETGID));
}

bool privilege_mounts(void)
{
	return has(BIT(CAP_SYS_ADMIN));
}

bool privilege_networks(void)
{
	return has(BIT(CAP_NET_ADMIN));
}

bool privilege_of_unit(void)
{
	return getenv("INVOCATION_ID") && sd_booted() > 0;
}

bool privilege_network(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}
