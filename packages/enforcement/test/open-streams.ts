import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Bank, Presented } from './bank.ts';

/** A stream of server-sent events that is open and has delivered one. */
export async function openStream(
  bank: Bank,
  as: Presented,
  token: string,
  more = '',
  listener?: 'mesh',
  path = '/accounts-api/events',
) {
  const answer = Promise.withResolvers<ServerResponse>();
  bank.resource.handler = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
    answer.resolve(response);
  };
  const socket = await bank.tls({ as, ...(listener && { listener }) });
  const authorization = token ? `Authorization: Bearer ${token}\r\n` : '';
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${authorization}${more}\r\n`);
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString();
  });
  while (!all.includes('data: 1')) await once(socket, 'data');
  return { socket, resource: await answer.promise, all: () => all };
}

export async function openWebSocket(bank: Bank, as: Presented, token: string) {
  const resource = Promise.withResolvers<NodeJS.EventEmitter>();
  bank.resource.server.once('upgrade', (_request, socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.resume();
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    resource.resolve(socket);
  });
  const socket = await bank.tls({ as });
  socket.write(
    `GET /accounts-api/socket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  await once(socket, 'data');
  return { socket, resource: await resource.promise };
}
