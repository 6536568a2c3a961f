// npm's ws talks to sonicio echo.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SIZES, Suite, WebSocket, assert, echo, frame, inbox } =
    require('./wire.js');

const suite = new Suite('ws client');

async function opened(url, protocols, options) {
    const ws = new WebSocket(url, protocols, { maxPayload: 0, ...options });
    ws.next = inbox(ws);
    await ws.next('open');
    return ws;
}

async function same(ws, data, binary) {
    const [got, isBinary] = await ws.next('message');
    assert.equal(isBinary, binary);
    assert(got.equals(data), `${got.length} bytes, not those sent`);
}

async function answers(ws, data = Buffer.from('still there?'), binary = true) {
    ws.send(data, { binary });
    await same(ws, data, binary);
}

async function closed(ws, code, reason = '') {
    const [gotCode, gotReason] = await ws.next('close');
    assert.equal(gotCode, code);
    assert.equal(gotReason.toString(), reason);
}

async function sizes(url) {
    const ws = await opened(url);
    for (const n of SIZES) {
        await answers(ws, crypto.randomBytes(n), true);
        await answers(ws, Buffer.alloc(n, 'text'), false);
    }
    await answers(ws, Buffer.from('\u00fc\u20ac\u{1f600}\0'.repeat(9999)),
        false);
    ws.close(1000);
    await closed(ws, 1000);
}

async function fragments(url) {
    const ws = await opened(url);
    const part = crypto.randomBytes(70000);
    for (let i = 0; i < 100; i++)
        ws.send(part, { fin: i === 99 });
    await same(ws, Buffer.concat(Array(100).fill(part)), true);
    // a character in two fragments, and a ping between them
    ws._socket.write(frame(1, false, Buffer.from([0xe2, 0x82]), true));
    ws.ping('between');
    ws._socket.write(frame(0, true, Buffer.from([0xac]), true));
    assert.equal(String(await ws.next('pong')), 'between');
    await same(ws, Buffer.from('\u20ac'), false);
    ws.terminate();
}

async function pipelined(url) {
    const ws = await opened(url);
    for (let i = 0; i < 1000; i++)
        ws.send(`message ${i}`);
    for (let i = 0; i < 1000; i++)
        await same(ws, Buffer.from(`message ${i}`), false);
    ws.terminate();
}

async function pings(url) {
    const ws = await opened(url);
    for (let i = 0; i < 100; i++)
        ws.ping(`${i}`.repeat(60));
    for (let i = 0; i < 100; i++)
        assert.equal(String(await ws.next('pong')), `${i}`.repeat(60));
    ws.ping();
    assert.equal((await ws.next('pong'))[0].length, 0);
    ws.pong('nobody asked');
    await answers(ws);
    ws.terminate();
}

// ws demands one of those it offered: sonicio echo knows none.
async function subprotocol(url) {
    const ws = new WebSocket(url, ['chat.v2', 'chat.v1']);
    const next = inbox(ws);
    const [why] = await next('error');
    assert.equal(why.message, 'Server sent no subprotocol');
}

async function close(url, code, reason, want) {
    const ws = await opened(url);
    await answers(ws);
    ws.close(code, reason);
    // RFC 6455 section 5.5.1: the code comes back; the reason need not
    await closed(ws, want);
}

async function closeBehindData(url) {
    const ws = await opened(url);
    const data = Buffer.alloc(1000, 'data');
    for (let i = 0; i < 100; i++)
        ws.send(data);
    ws.close(4000, 'done');
    for (let i = 0; i < 100; i++)
        await same(ws, data, true);
    await closed(ws, 4000);
}

async function abort(url) {
    const other = await opened(url);
    for (const data of [null, Buffer.alloc(1 << 20)]) {
        const ws = await opened(url);
        if (data)
            ws.send(data);
        ws._socket.resetAndDestroy();
        await closed(ws, 1006);
        await answers(other);
    }
    other.terminate();
}

async function badUtf8(url, ...frames) {
    const ws = await opened(url);
    for (const [opcode, fin, bytes] of frames)
        ws._socket.write(frame(opcode, fin, Buffer.from(bytes), true));
    const [code] = await ws.next('close');
    assert.equal(code, 1007);
}

async function tooBig() {
    const server = await echo('127.0.0.1:0', '--max-message', '1000');
    const ws = await opened(`ws://${server.address}/`);
    await answers(ws, Buffer.alloc(1000));
    ws.send(Buffer.alloc(1001));
    const [code] = await ws.next('close');
    assert.equal(code, 1009);
    assert.equal(await server.stop(), 0);
}

async function unix() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
    const socket = path.join(folder, 'echo.sock');
    try {
        const server = await echo(`unix:${socket}`);
        const ws = await opened(`ws+unix:${socket}:/`);
        await answers(ws, Buffer.alloc(300000));
        ws.close(1000);
        await closed(ws, 1000);
        assert.equal(await server.stop(), 0);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

async function drain(server, url) {
    const all = [];
    for (let i = 0; i < 10; i++)
        all.push(await opened(url));
    const status = server.stop();
    for (const ws of all) {
        const [code] = await ws.next('close');
        assert.equal(code, 1001);
    }
    assert.equal(await status, 0);
    assert.match(server.text(server.out),
        /drained: 10 closed cleanly, 0 reset/);
}

async function main() {
    const server = await echo('127.0.0.1:0');
    const url = `ws://${server.address}/`;
    await suite.case('all sizes, text and binary', sizes, url);
    await suite.case('fragments', fragments, url);
    await suite.case('1000 pipelined', pipelined, url);
    await suite.case('pings and pongs', pings, url);
    await suite.case('subprotocols offered, none chosen', subprotocol, url);
    // answered with 1000, as the library answers a close without a code
    await suite.case('close without a code', close, url, undefined, undefined,
        1000);
    for (const [code, reason] of [[1000, ''], [1001, 'leaving'],
        [3000, '\u00fc'], [4999, 'x'.repeat(123)]])
        await suite.case(`close ${code}`, close, url, code, reason, code);
    await suite.case('close behind data', closeBehindData, url);
    await suite.case('aborted transport', abort, url);
    await suite.case('bad UTF-8, whole', badUtf8, url, [1, true, [97, 0xff]]);
    await suite.case('bad UTF-8, in a continuation', badUtf8, url,
        [1, false, [97]], [0, true, [0xc0, 0xaf]]);
    await suite.case('over the limit', tooBig);
    await suite.case('unix socket', unix);
    await suite.case('SIGTERM drains', drain, server, url);
    suite.end();
}

main();
