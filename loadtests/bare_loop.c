/* The reference: what an event costs if one does nothing but write() it to every socket.
 *
 *     bare_loop CONNECTIONS STREAMS SIZE
 *
 * Listens on a free port of 127.0.0.1 and prints it, accepts CONNECTIONS clients, answers
 * each without reading what it asks for, and prints that they are there. Then, for each line
 * "COUNT INTERVAL" (events, microseconds between them) on standard input it writes COUNT
 * events of SIZE bytes of data to every socket, in a plain loop of blocking write()s, and
 * prints what that cost by getrusage(). It ends with its standard input.
 *
 * With STREAMS 0 it speaks HTTP/1.1. Else it speaks just enough HTTP/2 to be understood: the
 * frames of STREAMS streams are made once an event, and are one write() a connection.
 *
 * All that it prints is a line of JSON. The events are those of payload.py, encoded as
 * trio-sse encodes them, so that both write the same bytes.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int connections, streams, size;
static int *sockets;
static char *event, *buffer;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec
         + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static uint32_t crc32(const char *text, int length)
{
    uint32_t crc = 0xffffffff;
    for (int at = 0; at < length; at++) {
        crc ^= (unsigned char)text[at];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}

/* One event as it stands in the stream; returns its length. */
static int write_event(int number)
{
    int start = sprintf(event, "id: AAAAAAAA.%d\ndata: ", number);
    char *data = event + start, *text = data + 9;
    int length = sprintf(text, "a %d %lld ", number, (long long)monotonic_ns());
    while (length < size - 9)
        text[length++] = 'x';
    char checksum[10];
    sprintf(checksum, "%08x ", crc32(text, length));
    memcpy(data, checksum, 9);
    memcpy(text + length, "\n\n", 2);
    return start + 9 + length + 2;
}

/* A frame's header (RFC 9113, 4.1). */
static char *frame_header(char *at, int length, int type, int flags, uint32_t stream)
{
    uint32_t id = htonl(stream);
    *at++ = length >> 16;
    *at++ = length >> 8;
    *at++ = length;
    *at++ = type;
    *at++ = flags;
    memcpy(at, &id, 4);
    return at + 4;
}

static void write_all(int socket, const char *bytes, int length)
{
    while (length > 0) {
        ssize_t taken = write(socket, bytes, length);
        if (taken < 0)
            fail("write");
        bytes += taken;
        length -= taken;
    }
}

/* Frame what is in `event` for one connection; returns the length. */
static int frame_event(int length)
{
    if (streams == 0) {
        int start = sprintf(buffer, "%x\r\n", length);
        memcpy(buffer + start, event, length);
        memcpy(buffer + start + length, "\r\n", 2);
        return start + length + 2;
    }
    char *at = buffer;
    for (int stream = 0; stream < streams; stream++) {
        at = frame_header(at, length, 0, 0, 2 * stream + 1);
        memcpy(at, event, length);
        at += length;
    }
    return at - buffer;
}

static void greet(int socket)
{
    char request[4096];
    int one = 1;
    if (read(socket, request, sizeof request) <= 0)
        fail("read");
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char *at = buffer;
    if (streams == 0) {
        at += sprintf(at, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n");
    } else {
        at = frame_header(at, 0, 4, 0, 0); /* SETTINGS */
        at = frame_header(at, 0, 4, 1, 0); /* and the acknowledgement of theirs */
        for (int stream = 0; stream < streams; stream++) {
            at = frame_header(at, 1, 1, 4, 2 * stream + 1);
            *at++ = (char)0x88; /* :status 200 (RFC 7541, Appendix A) */
        }
    }
    write_all(socket, buffer, at - buffer);
}

static int listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 65535))
        fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    return listener;
}

static void publish(int count, int interval, int *number)
{
    double cpu = cpu_seconds();
    int64_t start = monotonic_ns();
    for (int turn = 0; turn < count; turn++) {
        int64_t wait = start + (int64_t)turn * interval * 1000 - monotonic_ns();
        if (wait > 0) {
            struct timespec pause = {wait / 1000000000, wait % 1000000000};
            nanosleep(&pause, NULL);
        }
        int length = frame_event(write_event(++*number));
        for (int client = 0; client < connections; client++)
            write_all(sockets[client], buffer, length);
    }
    cpu = cpu_seconds() - cpu;
    long deliveries = (long)count * connections * (streams ? streams : 1);
    printf("{\"last\": %d, \"cpu\": %.6f, \"microseconds_a_delivery\": %.4f}\n",
           *number, cpu, cpu / deliveries * 1e6);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bare_loop CONNECTIONS STREAMS SIZE\n");
        return 2;
    }
    connections = atoi(argv[1]);
    streams = atoi(argv[2]);
    size = atoi(argv[3]);
    sockets = calloc(connections, sizeof *sockets);
    event = malloc(size + 200);
    buffer = malloc((size + 200) * (streams ? streams : 1) + 4096);
    if (!sockets || !event || !buffer)
        fail("malloc");
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listening();
    for (int client = 0; client < connections; client++) {
        sockets[client] = accept(listener, NULL, NULL);
        if (sockets[client] < 0)
            fail("accept");
        greet(sockets[client]);
    }
    printf("{\"connected\": %d}\n", connections);
    int count, interval, number = 0;
    while (scanf("%d %d", &count, &interval) == 2)
        publish(count, interval, &number);
    return 0;
}
