#include <sonicio/fsm.h>

/* The library's machines, by floor; each is defined by the .c file that owns
 * its table.  A new one is named twice here. */
extern const sonic_fsm sonic__timer_fsm;
extern const sonic_fsm sonic__connect_fsm;
extern const sonic_fsm sonic__frame_scan_fsm;
extern const sonic_fsm sonic__frame_session_fsm;
extern const sonic_fsm sonic__gap_fsm;
extern const sonic_fsm sonic__http_head_fsm;
extern const sonic_fsm sonic__mold_packer_fsm;
extern const sonic_fsm sonic__mold_receiver_fsm;
extern const sonic_fsm sonic__proxy_fsm;
extern const sonic_fsm sonic__proxy_header_fsm;
extern const sonic_fsm sonic__soup_fsm;
extern const sonic_fsm sonic__tls_record_fsm;
extern const sonic_fsm sonic__ws_extension_fsm;
extern const sonic_fsm sonic__ws_frame_fsm;
extern const sonic_fsm sonic__ws_keep_fsm;
extern const sonic_fsm sonic__ws_message_fsm;
extern const sonic_fsm sonic__ws_session_fsm;

static const sonic_fsm *const builtin[] = {
    &sonic__timer_fsm,        &sonic__connect_fsm,
    &sonic__frame_scan_fsm,   &sonic__frame_session_fsm,
    &sonic__gap_fsm,          &sonic__http_head_fsm,
    &sonic__mold_packer_fsm,  &sonic__mold_receiver_fsm,
    &sonic__proxy_fsm,        &sonic__proxy_header_fsm,
    &sonic__soup_fsm,
#ifndef SONIC_WITHOUT_TLS
    &sonic__tls_record_fsm,
#endif
    &sonic__ws_extension_fsm, &sonic__ws_frame_fsm,
    &sonic__ws_keep_fsm,      &sonic__ws_message_fsm,
    &sonic__ws_session_fsm,
};

const sonic_fsm *
sonic_fsm_builtin(size_t index)
{
    return index < sizeof builtin / sizeof *builtin ? builtin[index] : NULL;
}
