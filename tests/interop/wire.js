// What the programs for npm's ws share: cases that are counted, and children.
'use strict';
const { spawn } = require('node:child_process');
const assert = require('node:assert');
const { once } = require('node:events');
const path = require('node:path');

const TOOL = process.env.SONICIO || 'tools/sonicio';
const WS_ECHO = process.env.WS_ECHO || 'examples/ws_echo';
const WITNESS = process.env.WITNESS || 'tests/interop/witness';
const LIMIT = 60 * 1000; // milliseconds a case may take
const MIB = 1 << 20;
const SIZES = [0, 1, 125, 126, 127, 65535, 65536, MIB, 16 * MIB];

// Installed in the build directory, not beside us.
const WebSocket = require(path.join(process.env.WS_MODULES, 'ws'));

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

function start(program, args) {
    const child = spawn(program, args, { stdio: 'pipe' });
    children.add(child);
    child.done = once(child, 'close').then(([status]) => {
        children.delete(child);
        return status;
    });
    child.out = [];
    child.err = [];
    child.stdin.on('error', () => {}); // it may end before it has read all
    child.stdout.on('data', (data) => child.out.push(data));
    child.stderr.on('data', (data) => child.err.push(data));
    child.text = (of) => Buffer.concat(of).toString();
    return child;
}

// A program from start to end.
async function run(program, args, input) {
    const child = start(program, args);
    child.stdin.end(input);
    const status = await child.done;
    const out = Buffer.concat(child.out);
    return { status, out, err: child.text(child.err) };
}

// sonicio echo, when its first line has come.
async function echo(listen, ...args) {
    const child = start(TOOL, ['echo', '--listen', listen, ...args]);
    let found = null;
    while (!found) {
        await Promise.race([once(child.stdout, 'data'), child.done]);
        assert.equal(child.exitCode, null, 'the server ended');
        found = /^listening on (\S+) \(ws[^)]*\)\n/.exec(child.text(child.out));
    }
    child.address = found[1];
    child.stop = () => {
        child.kill('SIGTERM');
        return child.done;
    };
    return child;
}

class Suite {
    constructor(name) {
        this.name = name;
        this.passed = this.failed = 0;
    }

    async case(name, fn, ...args) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error('took too long')), LIMIT);
        });
        try {
            await Promise.race([fn(...args), late]);
            this.passed++;
            console.log(`PASS ${this.name}: ${name}`);
        } catch (why) {
            const text = String(why).split('\n').slice(0, 8).join(' ');
            this.failed++;
            console.log(`FAIL ${this.name}: ${name}: ${text.slice(0, 400)}`);
        }
        clearTimeout(timer);
    }

    end() {
        console.log(`${this.name}: ${this.passed} passed, ` +
                    `${this.failed} failed`);
        process.exit(this.failed > 0 || this.passed === 0 ? 1 : 0);
    }
}

// Things that happen to a socket, to be awaited in their order.
function inbox(ws) {
    const queue = [];
    const waiting = [];
    const put = (kind) => (...args) => {
        const item = [kind, ...args];
        if (waiting.length > 0)
            waiting.shift()(item);
        else
            queue.push(item);
    };
    for (const kind of ['open', 'message', 'ping', 'pong', 'close', 'error'])
        ws.on(kind, put(kind));
    return async function next(kind) {
        const item = queue.length > 0 ? queue.shift()
            : await new Promise((resolve) => waiting.push(resolve));
        assert.equal(item[0], kind, `${item[0]} came, not ${kind}: ${item[1]}`);
        return item.slice(1);
    };
}

// A frame as it is: opcode, FIN, payload; masked with zeros by a client.
function frame(opcode, fin, payload, masked) {
    assert(payload.length < 126);
    const head = [opcode | (fin ? 0x80 : 0),
        payload.length | (masked ? 0x80 : 0)];
    if (masked)
        head.push(0, 0, 0, 0);
    return Buffer.concat([Buffer.from(head), payload]);
}

module.exports = { SIZES, Suite, TOOL, WITNESS, WS_ECHO, WebSocket, assert,
    echo, frame, inbox, once, run, start };
