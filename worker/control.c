/* Messages from the master: see control.h. */
#include "worker/control.h"

#include "common/wire.h"
#include "worker/conn.h"
#include "worker/connections.h"
#include "worker/generation.h"
#include "worker/listener.h"
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void control_arm(struct worker *w)
{
	if (w->control != -1)
		io_uring_prep_poll_add(loop_sqe(&w->loop, w, OP_CONTROL), w->control, POLLIN);
}

void control_adopted(struct worker *w)
{
	const struct wire m = { .type = WIRE_ADOPTED, .number = w->generation->number };

	atomic_store_explicit(&w->block->adopted, w->generation->number, memory_order_release);
	/* A master that does not read finds the number in the table. */
	wire_send(w->control, &m, -1);
}

void control_drain(struct worker *w, uint64_t within_ms)
{
	if (w->draining)
		return;
	w->draining = true;
	w->drain_end_ms = w->loop.now_ms + within_ms;
	listeners_stop(w);
	connections_drain(w, within_ms);
}

static void take(struct worker *w, const struct wire *m, int fd)
{
	struct err e;

	switch (m->type) {
	case WIRE_IMAGE:
		if (fd == -1 || generation_adopt(w, fd, m->number, &e) == -1) {
			log_error("generation %llu: %s", (unsigned long long)m->number, fd == -1 ? "no image" : e.text);
			return;
		}
		listeners_adopt(w);
		connections_adopt(w);
		control_adopted(w);
		return;
	case WIRE_LISTEN:
		if (w->draining)
			break;
		if (fd != -1 && listener_add(w, fd, &e) == 0)
			return;
		log_error("%s", fd == -1 ? "no listening socket" : e.text);
		break;
	case WIRE_LIST:
		if (fd != -1)
			connections_list(w, fd, m->number);
		return;
	case WIRE_CLOSE:
		connections_close(w, m->number, m->text, m->span_ms);
		break;
	case WIRE_PING:
		wire_send(w->control, &(struct wire){ .type = WIRE_PONG, .number = m->number }, -1);
		break;
	case WIRE_DRAIN:
		control_drain(w, m->number);
		break;
	default:
		log_error("message %u from the master is not known", m->type);
	}
	if (fd != -1)
		close(fd);
}

/* Some are kept from connections: out of them, a message would come without its own, and a generation would be lost. */
static void limit_descriptors(struct worker *w, rlim_t kept)
{
	const struct rlimit rl = { w->descriptors - kept, w->descriptors };
	int saved = errno;

	(void)setrlimit(RLIMIT_NOFILE, &rl);
	errno = saved;
}

/* Nothing can be opened any more, but what was given can be looked at. */
static struct timespec alive_at(const struct worker *w)
{
	struct stat st;

	return w->alive != -1 && fstat(w->alive, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

void control_orphan(struct worker *w)
{
	struct timespec now;
	bool other;

	if (w->control != -1 || w->draining)
		return;
	now = alive_at(w);
	other = w->loop.now_ms < w->orphan_end_ms && (now.tv_sec != w->alive_at.tv_sec || now.tv_nsec != w->alive_at.tv_nsec);
	if (!other && w->loop.now_ms < w->orphan_end_ms)
		return;
	if (other)
		log_notice("another master is ready: its workers take over, what is open here goes on");
	control_drain(w, image_settings(image_in_use(w))->drain_time_ms + (other ? w->orphan_end_ms - w->loop.now_ms : 0));
}

void control_ready(struct worker *w)
{
	struct wire m;
	int fd, r;

	limit_descriptors(w, 0);
	while ((r = wire_receive(w->control, &m, &fd)) == 1)
		take(w, &m, fd);
	limit_descriptors(w, descriptors_kept(w));
	if (r == -1 && errno == EBADMSG)
		log_error("a message from the master is lost: %s", "not whole, or no descriptor was left for it");
	if (r == 0 || (errno != EAGAIN && errno != EBADMSG)) {
		uint32_t serve_ms = image_settings(image_in_use(w))->orphan_timeout_ms;

		log_warning("the master is gone: serving for %u s more, then draining", serve_ms / 1000);
		close(w->control);
		w->control = -1;
		w->alive_at = alive_at(w);
		w->orphan_end_ms = w->loop.now_ms + serve_ms;
		return;
	}
	control_arm(w);
}
