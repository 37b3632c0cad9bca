#include "daemon/queue.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
	pthread_mutex_t lock;
	struct message *first, **last;
	size_t length;
	int fd;
};

struct queue *queue_new(void)
{
	struct queue *q = xcalloc(1, sizeof *q);

	q->last = &q->first;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		perror("sharesd: eventfd");
		abort();
	}
	pthread_mutex_init(&q->lock, NULL);
	return q;
}

void queue_free(struct queue *q)
{
	struct message *m;

	if (!q)
		return;
	while ((m = queue_pop(q)))
		message_free(m);
	close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int queue_fd(const struct queue *q)
{
	return q->fd;
}

static void wake(struct queue *q)
{
	uint64_t one = 1;

	while (write(q->fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void queue_push(struct queue *q, struct message *m)
{
	bool was_empty;

	m->next = NULL;
	pthread_mutex_lock(&q->lock);
	was_empty = !q->first;
	*q->last = m;
	q->last = &m->next;
	q->length++;
	pthread_mutex_unlock(&q->lock);
	if (was_empty)
		wake(q);
}

void queue_push_front(struct queue *q, struct message *m)
{
	pthread_mutex_lock(&q->lock);
	m->next = q->first;
	if (!q->first)
		q->last = &m->next;
	q->first = m;
	q->length++;
	pthread_mutex_unlock(&q->lock);
	wake(q);
}

struct message *queue_pop(struct queue *q)
{
	struct message *m;
	uint64_t n;

	pthread_mutex_lock(&q->lock);
	m = q->first;
	if (m) {
		q->first = m->next;
		if (!q->first)
			q->last = &q->first;
		q->length--;
	}
	/* Only the empty queue is silent, so a reader that takes one at a time is woken for the rest. */
	if (!q->first)
		(void)!read(q->fd, &n, sizeof n);
	pthread_mutex_unlock(&q->lock);
	return m;
}

size_t queue_length(struct queue *q)
{
	size_t n;

	pthread_mutex_lock(&q->lock);
	n = q->length;
	pthread_mutex_unlock(&q->lock);
	return n;
}

struct message *message_new(enum message_type type)
{
	struct message *m = xcalloc(1, sizeof *m);

	m->type = type;
	return m;
}

void message_free(struct message *m)
{
	if (!m)
		return;
	free(m->name);
	json_decref(m->json);
	call_free(m->call);
	conf_unref(m->conf);
	free(m);
}
