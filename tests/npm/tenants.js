// SPDX-License-Identifier: MIT
//
// Clients by npm's `ws` and `eventsource`, opened by commands on standard input, a JSON object a line:
// {"open": "events" | "socket", "client", "url", "token"} or {"send", "client"}. Says on standard output what each gets.
//
//   NODE_PATH=…/node_modules node tenants.js
const readline = require('readline');
const { EventSource } = require('eventsource');
const WebSocket = require('ws');

const say = (client, what, data = null) => console.log(JSON.stringify({ client, what, data }));
const sockets = new Map();

function openEvents(client, url, headers) {
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
  });
  source.onopen = () => say(client, 'open');
  source.onmessage = (event) => say(client, 'message', event.data);
  source.onerror = () => source.readyState === EventSource.CLOSED && say(client, 'end');
}

function openSocket(client, url, headers) {
  const socket = new WebSocket(url.replace('http:', 'ws:'), { headers });
  sockets.set(client, socket);
  socket.on('open', () => say(client, 'open'));
  socket.on('message', (data) => say(client, 'message', data.toString()));
  socket.on('close', (code) => say(client, 'close', code));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { open, send, client, url, token } = JSON.parse(line);
  if (send) sockets.get(client).send(send);
  else (open === 'events' ? openEvents : openSocket)(client, url, { Authorization: `Bearer ${token}` });
});
