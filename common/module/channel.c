#include "common/module/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool
channel_pair (int ends[2])
{
  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return false;
  /* SOCK_NONBLOCK in socketpair() would be for both ends, and a runner's end blocks. */
  int on = 1;
  if (setsockopt (ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0
      || fcntl (ends[0], F_SETFL, O_RDWR | O_NONBLOCK) != 0)
    {
      int failure = errno;
      close (ends[0]);
      close (ends[1]);
      errno = failure;
      return false;
    }
  return true;
}

ChannelResult
channel_send (int fd, const Frame *frame)
{
  return channel_send_with (fd, frame, NULL, 0);
}

ChannelResult
channel_send_with (int fd, const Frame *frame, const int *fds, size_t n_fds)
{
  union
  {
    struct cmsghdr header;
    char room[CMSG_SPACE (sizeof (int) * CHANNEL_MAX_FDS)];
  } control;
  struct iovec bytes = { .iov_base = (void *)frame, .iov_len = sizeof frame->header + frame->header.length };
  struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

  if (!frame_is_whole (frame) || n_fds > CHANNEL_MAX_FDS)
    {
      errno = EMSGSIZE;
      return CHANNEL_BROKEN;
    }
  if (n_fds > 0)
    {
      message.msg_control = control.room;
      message.msg_controllen = CMSG_SPACE (sizeof (int) * n_fds);
      memset (control.room, 0, sizeof control.room);
      struct cmsghdr *header = CMSG_FIRSTHDR (&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN (sizeof (int) * n_fds);
      memcpy (CMSG_DATA (header), fds, sizeof (int) * n_fds);
    }

  ssize_t sent;
  do
    sent = sendmsg (fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0)
    return CHANNEL_FRAME;
  if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
    return CHANNEL_AGAIN;
  return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? CHANNEL_CLOSED : CHANNEL_BROKEN;
}

/* Takes credentials and descriptors out of @message; false if there were more descriptors than were asked
 * for. */
static bool
read_control (struct msghdr *message, ChannelReceipt *receipt, size_t max_fds)
{
  size_t n_fds = 0;
  bool fits = true;
  for (struct cmsghdr *header = CMSG_FIRSTHDR (message); header != NULL;
       header = CMSG_NXTHDR (message, header))
    {
      if (header->cmsg_level != SOL_SOCKET)
        continue;
      if (header->cmsg_type == SCM_CREDENTIALS && header->cmsg_len == CMSG_LEN (sizeof (struct ucred)))
        {
          struct ucred sender;
          memcpy (&sender, CMSG_DATA (header), sizeof sender);
          receipt->pid = sender.pid;
          receipt->uid = sender.uid;
        }
      else if (header->cmsg_type == SCM_RIGHTS)
        {
          size_t n = (header->cmsg_len - CMSG_LEN (0)) / sizeof (int);
          for (size_t i = 0; i < n; i++)
            {
              int fd;
              memcpy (&fd, CMSG_DATA (header) + i * sizeof fd, sizeof fd);
              if (n_fds < max_fds)
                receipt->fds[n_fds++] = fd;
              else
                {
                  close (fd);
                  fits = false;
                }
            }
        }
    }
  return fits;
}

ChannelResult
channel_receive (int fd, Frame *frame, ChannelReceipt *receipt, size_t max_fds)
{
  union
  {
    struct cmsghdr header;
    char room[CMSG_SPACE (sizeof (struct ucred)) + CMSG_SPACE (sizeof (int) * CHANNEL_MAX_FDS)];
  } control;
  struct iovec bytes = { .iov_base = frame, .iov_len = sizeof *frame };
  struct msghdr message = {
    .msg_iov = &bytes,
    .msg_iovlen = 1,
    .msg_control = control.room,
    .msg_controllen
    = CMSG_SPACE (sizeof (struct ucred)) + (max_fds > 0 ? CMSG_SPACE (sizeof (int) * max_fds) : 0),
  };
  *receipt = (ChannelReceipt){ .fds = { -1, -1 } };

  ssize_t received;
  do
    received = recvmsg (fd, &message, MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0)
    return errno == EAGAIN ? CHANNEL_AGAIN : errno == ECONNRESET ? CHANNEL_CLOSED : CHANNEL_BROKEN;

  bool is_fine
      = read_control (&message, receipt, max_fds) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  receipt->n_bytes = (size_t)received;
  if (is_fine && received >= (ssize_t)sizeof frame->header)
    return CHANNEL_FRAME;

  for (size_t i = 0; i < CHANNEL_MAX_FDS; i++)
    if (receipt->fds[i] >= 0)
      {
        close (receipt->fds[i]);
        receipt->fds[i] = -1;
      }
  errno = EBADMSG;
  /* No bytes and nothing attached is the end of the stream: this protocol has no empty packets. */
  return is_fine && received == 0 ? CHANNEL_CLOSED : CHANNEL_BROKEN;
}
