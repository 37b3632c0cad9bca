#include "drivers/btrfs/btrfs_changed.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/path.h"
#include "drivers/btrfs/btrfs_volume.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { ROOM = 64 * 1024, ITEMS = 4096 };

/* A snapshot is as old as its making; one that was received, as its last change. */
static int state_of(const char *path, uint64_t *ret)
{
	_cleanup_close_ int fd = path_open_root(path);
	struct btrfs_volume_info info;
	int r = fd < 0 ? fd : btrfs_volume_look(fd, path, &info, NULL);

	if (r == 0)
		*ret = info.made > info.changed ? info.made : info.changed;
	return r;
}

/* Holes and what lies there since before count nothing. */
static uint64_t bytes_in(const char *item, size_t len, uint64_t since)
{
	struct btrfs_file_extent_item x = { 0 };

	memcpy(&x, item, len < sizeof x ? len : sizeof x);
	if (le64toh(x.generation) <= since)
		return 0;
	if (x.type == BTRFS_FILE_EXTENT_INLINE)
		return le64toh(x.ram_bytes);
	return x.type == BTRFS_FILE_EXTENT_REG && x.disk_bytenr ? le64toh(x.num_bytes) : 0;
}

/* Adds up what the kernel found, and leaves `key` behind the last. */
static uint64_t add_up(const char *found, struct btrfs_ioctl_search_key *key, uint64_t since)
{
	struct btrfs_ioctl_search_header h = { 0 };
	uint64_t sum = 0;

	for (uint32_t i = 0; i < key->nr_items; i++) {
		memcpy(&h, found, sizeof h);
		found += sizeof h;
		if (h.type == BTRFS_EXTENT_DATA_KEY)
			sum += bytes_in(found, h.len, since);
		found += h.len;
	}
	key->min_objectid = h.objectid;
	key->min_type = h.type;
	key->min_offset = h.offset + 1;
	if (key->min_offset == 0 && ++key->min_type == 0)
		key->min_objectid++;
	return sum;
}

uint64_t btrfs_changed_bytes(const char *path, const char *base)
{
	_cleanup_free_ struct btrfs_ioctl_search_args_v2 *args = xcalloc(1, sizeof *args + ROOM);
	_cleanup_close_ int fd = path_open_root(path);
	uint64_t since = 0, sum = 0;

	if (fd < 0 || state_of(base, &since) < 0)
		return 0;
	args->key = (struct btrfs_ioctl_search_key){
		.min_objectid = BTRFS_FIRST_FREE_OBJECTID,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID,
		.max_type = UINT32_MAX,
		.max_offset = UINT64_MAX,
		.min_transid = since + 1,
		.max_transid = UINT64_MAX,
	};
	args->buf_size = ROOM;
	do {
		args->key.nr_items = ITEMS;
		if (ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, args) < 0)
			return 0;
		sum += add_up((const char *)args->buf, &args->key, since);
	} while (args->key.nr_items > 0);
	return sum;
}
