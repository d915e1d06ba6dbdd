import { expect, test } from 'vitest';
import { startWebBank } from './web-bank.ts';

// From the operator's command to what a person's browser may still do.

const WEBSOCKET = { 'sec-fetch-mode': 'websocket' };

test('a session that is narrowed by command reads on and changes nothing, its WebSocket is cut, until it is widened', {
  timeout: 60_000,
}, async () => {
  await using bank = await startWebBank();
  const browser = bank.browser();
  await browser.open('/', await bank.enrol('human/alice'));
  const answers = async () =>
    [await browser.script('/page'), await browser.form('/tickets/7', 'text=done')].map(
      ({ status }) => status,
    );
  expect(await answers()).toEqual([200, 200]);
  const socket = await browser.socket('/live', { ...WEBSOCKET, origin: bank.origin });
  expect(socket.status).toBe(101);

  const [{ id }] = JSON.parse((await bank.onData('session', 'list', '--json')).out);
  const none = await bank.onData('session', 'narrow', id, '--reason', 'x');
  expect([none.code, none.err]).toEqual([
    2,
    expect.stringContaining('found nothing to narrow to, expected --scopes or --read-only'),
  ]);
  const misspelt = await bank.onData('session', 'narrow', id, '--scopes', 'wbe', '--reason', 'x');
  expect([misspelt.code, misspelt.err]).toEqual([
    expect.any(Number),
    expect.stringContaining("found scope 'wbe', which no client may ask for"),
  ]);
  const narrowed = await bank.onData('session', 'narrow', id, '--read-only', '--reason', 'odd');
  expect([narrowed.code, narrowed.out]).toEqual([
    0,
    `narrowed session ${id} to what changes nothing\n`,
  ]);
  await socket.closed;
  expect(await answers()).toEqual([200, 403]);
  expect((await bank.onData('session', 'list')).out).toContain('narrowed to what changes nothing');
  const refused = (await bank.events('decision')).findLast(({ effect }) => effect === 'deny');
  expect(refused).toMatchObject({ reason: 'session-narrowed', session: id });
  const cut = (await bank.events('closure')).findLast(({ cause }) => cause === 'revoked');
  expect(cut).toMatchObject({ surface: 'console', session: id });

  expect((await bank.onData('session', 'widen', id)).out).toBe(`widened session ${id}\n`);
  await expect.poll(answers).toEqual([200, 200]);
  const told = (await bank.events('administration')).filter(({ target }) => target === id);
  expect(told.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['session-narrowed', 'session-widened']),
  );
});
