/* <sonicio/sonicio.h> - everything */
#ifndef SONICIO_SONICIO_H
#define SONICIO_SONICIO_H

#include <sonicio/address.h>
#include <sonicio/api.h>
#include <sonicio/bip.h>
#include <sonicio/bytes.h>
#include <sonicio/clock.h>
#include <sonicio/error.h>
#include <sonicio/file.h>
#include <sonicio/frame.h>
#include <sonicio/fsm.h>
#include <sonicio/gap.h>
#include <sonicio/histogram.h>
#include <sonicio/interface.h>
#include <sonicio/io.h>
#include <sonicio/listener.h>
#include <sonicio/mem.h>
#include <sonicio/mirror.h>
#include <sonicio/mold.h>
#include <sonicio/mold_feed.h>
#include <sonicio/multicast.h>
#include <sonicio/object.h>
#include <sonicio/options.h>
#include <sonicio/proxy_header.h>
#include <sonicio/sequencer.h>
#include <sonicio/shared.h>
#include <sonicio/signal.h>
#include <sonicio/sim.h>
#include <sonicio/soup.h>
#include <sonicio/stats.h>
#include <sonicio/stream.h>
#include <sonicio/sys.h>
#include <sonicio/thread.h>
#include <sonicio/timer.h>
#include <sonicio/tls.h>
#include <sonicio/udp.h>
#include <sonicio/url.h>
#include <sonicio/warm.h>
#include <sonicio/websocket.h>
#include <sonicio/websocket_keep.h>
#include <sonicio/websocket_prepared.h>

#endif
