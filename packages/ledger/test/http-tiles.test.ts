import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpTiles, rootAt, TileTree } from '@countersign/ledger';
import { afterEach, expect, test } from 'vitest';
import { expectedFiles, treeOf } from './support/expected-tiles.ts';

let server: Server | undefined;

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs/one`;
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

test('reads a published log over HTTP, with or without a trailing slash', async () => {
  const tree = treeOf(700);
  const files = expectedFiles(tree, 700);
  const asked: string[] = [];
  const prefix = await serve((request, response) => {
    asked.push(request.url ?? '');
    const file = files.get((request.url ?? '').replace('/logs/one/', ''));
    response.writeHead(file ? 200 : 404).end(file);
  });
  const head = { size: 700, root: rootAt(tree, 700) };
  for (const each of [prefix, `${prefix}/`]) {
    const tiles = await TileTree.open(httpTiles({ prefix: each, fetch }), head);
    expect(Buffer.from(await tiles.entry(699)).toString()).toBe('entry 699');
    expect(await tiles.inclusionProof(3)).toHaveLength(10);
  }
  expect(asked).toContain('/logs/one/tile/entries/002.p/188');
  expect(await httpTiles({ prefix, fetch })('tile/0/009')).toBeUndefined();
});

test('refuses an answer that is longer than the resource can be, however it is sent', async () => {
  let bytes = 8192;
  const prefix = await serve((_, response) => response.end(Buffer.alloc(bytes)));
  const read = httpTiles({ prefix, fetch });
  expect(await read('tile/0/000')).toHaveLength(8192);
  bytes++;
  await expect(read('tile/0/000')).rejects.toMatchObject({
    code: 'ERR_LEDGER_FETCH',
    message: `could not fetch '${prefix}/tile/0/000': found more than 8192 bytes`,
  });
  expect(await read('tile/entries/000')).toHaveLength(8193);
});

test('tells another status and a server that does not answer from a file that is not there', async () => {
  let status = 503;
  const prefix = await serve((_, response) => {
    if (status > 0) response.writeHead(status).end();
  });
  const read = httpTiles({ prefix, fetch, timeoutMs: 200 });
  await expect(read('checkpoint')).rejects.toMatchObject({
    code: 'ERR_LEDGER_FETCH',
    message: `could not fetch '${prefix}/checkpoint': found status 503, expected 200 or 404`,
  });
  status = 410;
  expect(await read('checkpoint')).toBeUndefined();
  status = 0;
  await expect(read('checkpoint')).rejects.toMatchObject({ code: 'ERR_LEDGER_FETCH' });
});

test('refuses what is no prefix', () => {
  for (const prefix of ['', 'log.bank.example', 'ftp://x', 'https://x/?a=b', 'https://x/#a']) {
    expect(() => httpTiles({ prefix, fetch })).toThrowError(
      expect.objectContaining({ code: 'ERR_LEDGER_OPTION' }),
    );
  }
});
