import { commands, EXIT } from '@countersign/cli';
import { describe, expect, test } from 'vitest';
import { countersign } from './test-io.ts';

describe.each(commands.map(({ name }) => name))('countersign %s', (name) => {
  const command = commands.find((each) => each.name === name);

  test('explains itself', async () => {
    for (const words of [
      [...name.split(' '), '--help'],
      [...name.split(' '), '-h'],
      ['help', ...name.split(' ')],
    ]) {
      const { code, out, err } = await countersign(words);
      expect([code, err]).toEqual([EXIT.ok, '']);
      expect(out).toMatch(new RegExp(`^Usage: countersign ${name}[ <\\[]`));
      for (const option of Object.keys(command?.options ?? {}))
        expect(out).toContain(`--${option}`);
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(150);
    }
  });

  test('suggests the option that was meant', async () => {
    const [option = 'help'] = Object.keys(command?.options ?? {});
    const typed = `--${option.slice(0, -1)}`;
    const { code, out, err } = await countersign([...name.split(' '), typed]);
    expect(code).toBe(EXIT.usage);
    expect(out).toBe('');
    expect(err).toBe(
      `countersign ${name}: found option '${typed}', expected '--${option}'?; see 'countersign ${name} --help'\n`,
    );
  });

  test('refuses an operand too many', async () => {
    const operands = Array.from({ length: (command?.operandsMax ?? 0) + 1 }, (_, at) => `w${at}`);
    const { code, err } = await countersign([...name.split(' '), ...operands]);
    expect(code).toBe(EXIT.usage);
    expect(err).toMatch(/found operand 'w\d+', expected at most \d+\n$/);
  });
});

test('lists every command', async () => {
  const { code, out } = await countersign(['--help']);
  expect(code).toBe(EXIT.ok);
  const lines = out.split('\n').map((line) => line.trim().replace(/ {2,}/, '  '));
  for (const { name, summary } of commands) expect(lines).toContain(`${name}  ${summary}`);
});

test('lists the commands that one word begins', async () => {
  const asked = await countersign(['cedar', '--help']);
  expect([asked.code, asked.err]).toEqual([EXIT.ok, '']);
  expect(asked.out).toContain('\n  cedar check      ');
  expect(asked.out).not.toContain('ledger verify');
  expect(await countersign(['cedar'])).toEqual({ code: EXIT.usage, out: '', err: asked.out });
});

test('shows the list on standard error when nothing is asked', async () => {
  const { code, out, err } = await countersign([]);
  expect([code, out]).toEqual([EXIT.usage, '']);
  expect(err).toContain('Usage: countersign <command>');
});

test.each([
  [['chekc'], "unknown command 'chekc'; did you mean 'check'?"],
  [['help', 'chekc'], "unknown command 'chekc'; did you mean 'check'?"],
  [['session'], "unknown command 'session'; did you mean 'session list'?"],
  [['session', '--data', 'x'], "unknown command 'session'; did you mean 'session list'?"],
  [['ledger', 'verfy'], "unknown command 'ledger verfy'; did you mean 'ledger verify'?"],
  [['cedar', 'chekc'], "unknown command 'cedar chekc'; did you mean 'cedar check'?"],
  [['session', 'show'], "unknown command 'session show'; did you mean 'session list'?"],
  [['frobnicate'], "unknown command 'frobnicate'"],
])('does not know %j', async (words, said) => {
  const { code, out, err } = await countersign(words);
  expect([code, out]).toEqual([EXIT.usage, '']);
  expect(err).toBe(`countersign: ${said}; see 'countersign --help'\n`);
});

test.each([['--version'], ['-v'], ['version']])('%s tells the version', async (word) => {
  expect(await countersign([word])).toEqual({ code: EXIT.ok, out: '0.0.0-test\n', err: '' });
});

test.each([
  [['check', '--repository'], "found no value for '--repository', expected DIR"],
  [['check', '--json=yes'], "found a value for '--json', expected none"],
  [['check', '-x'], "found option '-x', expected one of this command"],
])('tells what is wrong with %j', async (words, said) => {
  const { code, err } = await countersign(words);
  expect(code).toBe(EXIT.usage);
  expect(err).toBe(`countersign check: ${said}; see 'countersign check --help'\n`);
});

test.each([
  [['join-token'], 'found no subject, expected one'],
  [['join-token', 'x', '--ttl', '0'], "found --ttl '0', expected a whole number from 1 to 86400"],
  [['join-token', 'x', '--ttl', '86401'], "found --ttl '86401', expected a whole number"],
  [['join-token', 'x', '--ttl', '1e3'], "found --ttl '1e3', expected a whole number"],
  [['revoke'], "found '', expected session|subject|token|certificate and a value"],
  [['revoke', 'sesion', 'x'], "did you mean 'session'?"],
  [['revoke', 'session', 'x'], 'found no --reason'],
  [['gateway'], 'found no name'],
  [['decide'], 'found no --subject, expected one'],
  [['decide', '--subject', 'a', '--surface', 'b'], 'found no --action, expected one'],
  [['events', '--kind', 'decisions'], 'expected one of authentication, decision, outcome'],
  [['events', '--kind', 'decisions'], "did you mean 'decision'?"],
  [['events', '--since', 'yesterday'], "found --since 'yesterday', expected a duration such as"],
  [['shadow', 'report', '--since', '5'], "found --since '5', expected a duration such as"],
  [['demo', '--rate', 'fast'], "found --rate 'fast', expected a whole number from 1 to 1000"],
])('%j is used wrongly, and nothing is done', async (words, said) => {
  const { code, out, err } = await countersign(words);
  expect([code, out]).toEqual([EXIT.usage, '']);
  expect(err).toContain(said);
});

test.each(['status', 'apply', 'session list', 'join-token workload/x', 'events --follow'])(
  '%s says that no authority answers',
  async (words) => {
    const { code, out, err } = await countersign([...words.split(' '), '--data', 'nowhere']);
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toMatch(
      /: cannot reach the authority at \S+nowhere\/authority\/admin.sock: .*ENOENT.*; is it running, and is --data its folder\?\n$/,
    );
  },
);

test('takes an id that begins like an option for what it is', async () => {
  const id = '-8ekZ1xQ0iU1vTq6wTzVmg';
  const event = await countersign(['decide', '--event', id, '--data', 'nowhere']);
  expect(event.err).toContain(`cannot decide ${id} again`);
  const words = ['revoke', 'session', id, '--reason', 'lost', '--data', 'nowhere'];
  expect((await countersign(words)).err).toContain('cannot reach the authority');
});

test('keeps what stands after -- as operands', async () => {
  const { code, err } = await countersign(['init', '--', '--help', 'two']);
  expect([code, err]).toEqual([
    EXIT.usage,
    "countersign init: found operand 'two', expected at most 1\n",
  ]);
});
