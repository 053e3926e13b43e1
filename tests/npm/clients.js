// SPDX-License-Identifier: MIT
//
// Clients as programs use them: `eventsource` and `reconnecting-websocket`, three of each. Says on standard output what each
// gets, a JSON object a line.
//
//   NODE_PATH=…/node_modules node clients.js http://HOST:PORT
const { EventSource } = require('eventsource');
const ReconnectingWebSocket = require('reconnecting-websocket');
const WebSocket = require('ws');

const address = process.argv[2]; // or https
const say = (client, what, data) => console.log(JSON.stringify({ client, what, data }));

for (let i = 0; i < 3; i++) {
  const source = new EventSource(`${address}/sse`);
  source.onopen = () => say(`eventsource ${i}`, 'open');
  source.onmessage = (event) => say(`eventsource ${i}`, 'message', event.data);
  source.onerror = () => say(`eventsource ${i}`, 'error', source.readyState);
  source.addEventListener('too_old', (event) => say(`eventsource ${i}`, 'too_old', event.data));

  const socket = new ReconnectingWebSocket(`${address.replace(/^http/, 'ws')}/ws`, [], { WebSocket });
  socket.onopen = () => say(`websocket ${i}`, 'open');
  socket.onmessage = (event) => say(`websocket ${i}`, 'message', event.data);
  socket.onclose = (event) => say(`websocket ${i}`, 'close', event.code);
}
