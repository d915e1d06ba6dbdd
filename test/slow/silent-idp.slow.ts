import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { providerOf, startTlsServer } from '../../packages/identity/test/idp/own-idp.ts';
import { startLoginBank } from '../../packages/identity/test/login/login-bank.ts';

// It takes connections and says nothing, as behind a firewall that drops: only our own patience ends it.
test('a provider that does not answer is waited for once, and people are told to take a passkey', async () => {
  const bank = await startLoginBank();
  const files = await startTlsServer(bank);
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = silent.address() as { port: number };
    const { caFile, folder } = files;
    const provider = providerOf({ url: `https://localhost:${port}`, caFile, folder });
    const { name } = provider;
    // Nothing is read of it before it answers: any secret does.
    const secretFile = caFile;
    bank.set({
      identityProviders: [
        { ...provider, authentication: { method: 'client_secret_basic', secretFile } },
      ],
    });
    const teller = await bank.teller();
    for (const _person of ['first', 'second', 'third']) {
      const browser = bank.browser();
      const page = await browser.go((await teller.begin()).url);
      const shown = await browser.go(`${page.url.pathname}/idp?with=${name}`);
      expect(shown.page?.response.status).toBe(503);
      expect(shown.page?.html).toContain('does not answer now');
    }
    expect(sockets).toHaveLength(1);
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await files.close();
    await bank.close();
  }
});
