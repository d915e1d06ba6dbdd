import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { text } from 'node:stream/consumers';

/** Content security policies of the page itself and of its worker. */
export interface PagePolicies {
  readonly page: string;
  readonly worker: string;
}

/** A server on the loopback address of one page after another, each of the same files. */
export interface PageServer {
  /**
   * Serves the page under policies of its own.
   *
   * @returns where, and what the page posts to `report`
   */
  page(policies: PagePolicies): { readonly url: string; readonly report: Promise<string> };
  close(): Promise<void>;
}

const TYPES: { readonly [extension: string]: string } = {
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
const HTML = '<!doctype html><title>page</title><script type="module" src="page.js"></script>\n';

/**
 * Serves `page.js`, beside it the workers in `assets/*worker*.js`, and whatever else is in a folder.
 */
export async function startPageServer(folder: string): Promise<PageServer> {
  const pages: { readonly policies: PagePolicies; readonly tell: (report: string) => void }[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, number, file = ''] = /^\/(\d+)\/([\w./-]*)$/.exec(request.url ?? '') ?? [];
    const page = pages[Number(number)];
    if (!page || file.includes('..')) {
      response.writeHead(404).end();
    } else if (file === 'report') {
      page.tell(await text(request));
      response.writeHead(204).end();
    } else {
      const body = file === '' ? HTML : await readFile(join(folder, file));
      const { policies } = page;
      response.writeHead(200, {
        'content-type': TYPES[extname(file)] ?? 'text/html; charset=utf-8',
        'content-security-policy': /worker.*\.js$/.test(file) ? policies.worker : policies.page,
        'x-content-type-options': 'nosniff',
      });
      response.end(body);
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(`${error}`));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    page(policies) {
      const { promise, resolve } = Promise.withResolvers<string>();
      pages.push({ policies, tell: resolve });
      return { url: `http://127.0.0.1:${port}/${pages.length - 1}/`, report: promise };
    },
    async close() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}
