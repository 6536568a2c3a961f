/* <sonicio/error.h> - one space of errors
 *
 * A code in [-4095, -1] is a negated errno: -ECONNREFUSED means what errno(3)
 * says.  The library's own codes lie below -4096 and are listed once, here.
 */
#ifndef SONICIO_ERROR_H
#define SONICIO_ERROR_H

#include <errno.h>

#include <sonicio/api.h>

/* X(name, value, close, text)
 * close is the status of the Close frame that answers such an error (RFC 6455
 * section 7.4.1), 0 where the error is not one that a peer can cause. */
#define SONIC_ERROR_LIST(X)                                                    \
    X(EOF, -5000, 0, "end of stream")                                          \
    X(ECLOSED, -5001, 0, "object is closed")                                   \
    X(EADDRESS, -5002, 0, "address is not HOST:PORT, [V6]:PORT or unix:PATH")  \
    X(ERESOLVE, -5003, 0, "host name could not be resolved")                   \
    X(EQUEUE, -5004, 0, "write queue is at its limit")                         \
    X(ETOOBIG, -5005, 0, "larger than the limit that was set")                 \
    X(ENEEDMORE, -5006, 0, "more bytes are needed")                            \
    X(EOPTION, -5007, 0,                                                       \
      "option is out of range or not supported here, or its struct was not "   \
      "begun with the _INIT macro")                                            \
    X(ESTATE, -5008, 0, "not possible in the object's present state")          \
    X(EGROUP, -5011, 0, "not the address of a multicast group")                \
    X(ENOTLS, -5010, 0, "TLS is not part of this build")                       \
    X(ESTOPPED, -5009, 0, "io was stopped")                                    \
    X(ERESOLVE_AGAIN, -5012, 0, "no name server answered")                     \
    X(EFRAME_LENGTH, -5050, 0, "frame: length is malformed or negative")       \
    X(EFRAME_TOOBIG, -5051, 0, "frame: longer than the limit")                 \
    X(EFRAME_CUT, -5052, 0, "frame: the stream ended inside a frame")          \
    X(EPROXY_HEADER, -5060, 0, "proxy protocol: header malformed or absent")   \
    X(EWS_OPCODE, -5100, 1002, "websocket: reserved opcode")                   \
    X(EWS_RSV, -5101, 1002, "websocket: reserved bit set")                     \
    X(EWS_CONTROL, -5102, 1002, "websocket: fragmented or long control frame") \
    X(EWS_MASK, -5103, 1002, "websocket: wrong masking for this role")         \
    X(EWS_LENGTH, -5104, 1002, "websocket: length not minimal or over 2^63-1") \
    X(EWS_FRAGMENT, -5105, 1002, "websocket: fragment out of sequence")        \
    X(EWS_UTF8, -5106, 1007, "websocket: text is not UTF-8")                   \
    X(EWS_TOOBIG, -5107, 1009, "websocket: message longer than the limit")     \
    X(EWS_CLOSE, -5108, 1002, "websocket: malformed close payload")            \
    X(EWS_CLOSED, -5109, 0, "websocket: the peer closed the connection")       \
    X(EWS_ABNORMAL, -5110, 0, "websocket: connection ended without a close")   \
    X(EWS_PONG, -5111, 0, "websocket: no pong within the deadline")            \
    X(EWS_IDLE, -5112, 0, "websocket: nothing received within the deadline")   \
    X(EWS_DEFLATE, -5113, 1007, "websocket: compressed data is invalid")       \
    X(EWS_SLOW, -5114, 0, "websocket: a message took longer than it may")      \
    X(EWS_URL, -5120, 0, "websocket: URL is not ws://HOST[:PORT]/PATH")        \
    X(EWS_HEAD, -5121, 0, "websocket: malformed HTTP head")                    \
    X(EWS_HEAD_TOOBIG, -5122, 0, "websocket: HTTP head over the limit")        \
    X(EWS_STATUS, -5123, 0, "websocket: the server did not switch protocols")  \
    X(EWS_UPGRADE, -5124, 0, "websocket: Upgrade or Connection is wrong")      \
    X(EWS_ACCEPT, -5125, 0, "websocket: Sec-WebSocket-Accept is wrong")        \
    X(EWS_KEY, -5126, 0, "websocket: Sec-WebSocket-Key is wrong")              \
    X(EWS_VERSION, -5127, 0, "websocket: version is not 13")                   \
    X(EWS_SUBPROTOCOL, -5128, 0, "websocket: subprotocol was not offered")     \
    X(EWS_EXTENSION, -5129, 0, "websocket: extension is not as offered")       \
    X(EWS_METHOD, -5130, 0, "websocket: upgrade must be GET over HTTP/1.1")    \
    X(EWS_HEADER, -5131, 0,                                                    \
      "websocket: header or subprotocol may not be sent")                      \
    X(EWS_REJECTED, -5132, 0, "websocket: refused by this server's hook")      \
    X(ESOUP_PACKET, -5200, 0, "soupbintcp: malformed packet")                  \
    X(ESOUP_UNEXPECTED, -5201, 0, "soupbintcp: packet out of place")           \
    X(ESOUP_SEQUENCE, -5202, 0, "soupbintcp: not the session or number asked") \
    X(ESOUP_REJECTED, -5203, 0, "soupbintcp: the login was refused")           \
    X(ESOUP_LOGIN, -5204, 0, "soupbintcp: no login within the deadline")       \
    X(ESOUP_SILENT, -5205, 0, "soupbintcp: nothing heard within the deadline") \
    X(EMOLD_PACKET, -5220, 0, "moldudp64: malformed packet")                   \
    X(EMOLD_SESSION, -5221, 0, "moldudp64: packet of another session")         \
    X(EMOLD_GONE, -5222, 0, "moldudp64: message is not in the store")          \
    X(EMOLD_RATE, -5223, 0, "moldudp64: over the limit of requests")           \
    X(ETLS, -5400, 0, "tls: failed")                                           \
    X(ETLS_PROTOCOL, -5401, 0, "tls: the peer does not speak TLS, or badly")   \
    X(ETLS_TRUNCATED, -5402, 0, "tls: stream ended without close_notify")      \
    X(ETLS_ALERT, -5403, 0, "tls: the peer refuses")                           \
    X(ETLS_VERSION, -5404, 0, "tls: no version in common")                     \
    X(ETLS_CIPHER, -5405, 0, "tls: no cipher in common")                       \
    X(ETLS_ALPN, -5406, 0, "tls: no application protocol in common")           \
    X(ETLS_CERTIFICATE, -5407, 0, "tls: own certificate or key not usable")    \
    X(ETLS_NO_CERTIFICATE, -5420, 0, "tls: the peer shows no certificate")     \
    X(ETLS_EXPIRED, -5421, 0, "tls: certificate has expired")                  \
    X(ETLS_NOT_YET_VALID, -5422, 0, "tls: certificate is not valid yet")       \
    X(ETLS_WRONG_HOST, -5423, 0, "tls: certificate is for another name")       \
    X(ETLS_SELF_SIGNED, -5424, 0, "tls: certificate is self-signed")           \
    X(ETLS_UNKNOWN_ISSUER, -5425, 0, "tls: issuer is not known or trusted")    \
    X(ETLS_REVOKED, -5426, 0, "tls: certificate is revoked")                   \
    X(ETLS_CRL, -5427, 0, "tls: no usable revocation list")                    \
    X(ETLS_PURPOSE, -5428, 0, "tls: certificate is for another purpose")       \
    X(ETLS_SIGNATURE, -5429, 0, "tls: certificate has a wrong signature")      \
    X(ETLS_WEAK, -5430, 0, "tls: certificate has a weak key or digest")        \
    X(ETLS_VERIFY, -5431, 0, "tls: certificate cannot be verified")

enum sonic_error {
    SONIC_OK = 0,
#define X(name, value, close, text) SONIC_##name = (value),
    SONIC_ERROR_LIST(X)
#undef X
};

#ifdef __cplusplus
extern "C" {
#endif

/* sonic_strerror - an error in words; "success" for 0 and for counts.
 * The string is constant for the library's codes; for a negated errno it is
 * strerror(3)'s and may change with the locale. */
SONIC_API const char *sonic_strerror(int err);

/* sonic_errname - the constant's name: "SONIC_EOF", "ECONNREFUSED".
 * "E?" for a number that is neither. */
SONIC_API const char *sonic_errname(int err);

#ifdef __cplusplus
}
#endif
#endif
