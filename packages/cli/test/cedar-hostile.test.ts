import { EXIT } from '@countersign/cli';
import { describe, expect, test } from 'vitest';
import { asked, cedarFolder } from './cedar-files.ts';

describe('hostile files', () => {
  const ask = ['--principal', 'U::"u"', '--action', 'Action::"a"', '--resource', 'R::"r"'];
  const permit = 'permit (principal, action, resource);';

  test.each([
    [
      'ten megabytes in one literal',
      `permit (principal, action, resource) when { context.x == "${'a'.repeat(1e7)}" };`,
      'characters, expected at most',
    ],
    ['ten megabytes of policies', `${permit}\n`.repeat(270_000), 'expected at most'],
    [
      'five thousand brackets',
      `permit (principal, action, resource) when { ${'('.repeat(5000)}true${')'.repeat(5000)} };`,
      'found brackets nested 65 deep, expected at most 64',
    ],
    [
      'a chain of five thousand',
      `permit (principal, action, resource) when { ${'true && '.repeat(5000)}true };`,
      'found more than 500 operators',
    ],
    ['a string without end', 'permit (principal == U::"', 'found a string without end'],
    ['no policy at all', '{"json": true}', 'found a policy without end'],
  ])('%s is refused in a few lines', async (_name, text, said) => {
    await using folder = await cedarFolder({ 'p.cedar': text });
    const checked = await folder.cedar('check', 'p.cedar');
    expect(checked.code).toBe(EXIT.negative);
    expect(checked.out).toContain(said);
    expect(checked.out.length).toBeLessThan(2000);
    const decided = await folder.cedar('authorize', 'p.cedar', ...ask);
    expect([decided.code, decided.out]).toEqual([EXIT.failed, '']);
    expect(decided.err).toContain(said);
  });

  test.each([
    [
      'p.cedar',
      ['check', 'p.cedar', '--entities', 'nowhere.json'],
      "cannot read entities 'nowhere.json': found no such file",
    ],
    [
      'a folder as schema',
      ['check', 'p.cedar', '-s', 'folder'],
      "cannot read schema 'folder': found a folder, expected a file",
    ],
    [
      'a folder as context',
      ['authorize', 'p.cedar', ...ask, '-c', 'folder'],
      "cannot read context 'folder': found a folder",
    ],
    [
      'a folder without policies',
      ['check', 'folder/empty'],
      "found no .cedar file in 'folder/empty', expected one",
    ],
    [
      'a name that is nearly one of policies',
      ['check', 'loud'],
      "found 'loud/FORBID.CEDAR', expected .cedar or .links.json in small letters",
    ],
    [
      'no such policies',
      ['check', 'nowhere.cedar'],
      "cannot read policies 'nowhere.cedar': found no such file",
    ],
    [
      'bytes that are no text',
      ['check', 'latin.cedar'],
      "cannot read policies 'latin.cedar': found bytes that are not UTF-8",
    ],
    [
      'JSON that is none',
      ['authorize', 'p.cedar', ...ask, '-c', 'broken.json'],
      `cannot read context 'broken.json' as JSON: found "}" at line 2, column 8, expected a value`,
    ],
    [
      'a context that is a list',
      ['authorize', 'p.cedar', ...ask, '-c', 'list.json'],
      'found a context that is no object, expected {…}',
    ],
    [
      'entities that are no list',
      ['authorize', 'p.cedar', ...ask, '--entities', 'object.json'],
      'found JSON that is no list',
    ],
    [
      'entities that are none',
      ['authorize', 'p.cedar', ...ask, '--entities', 'list.json'],
      'list.json:1:2: error: cannot read an entity',
    ],
    [
      'a context nested a thousand deep',
      ['authorize', 'p.cedar', ...ask, '-c', 'deep.json'],
      'at most 72 levels',
    ],
    [
      'a request without action',
      ['authorize', 'p.cedar', '--request', 'request.json'],
      "cannot read request 'request.json': found no action",
    ],
    [
      'an unknown',
      ['authorize', 'p.cedar', ...ask, '-c', '{"x":{"__extn":{"fn":"unknown","arg":"q"}}}'],
      'unknown',
    ],
    [
      'half a surrogate pair',
      ['authorize', 'p.cedar', ...ask, '-c', '{"x":"\\ud800"}'],
      'surrogate',
    ],
  ])('%s is told as such', async (_name, words, said) => {
    await using folder = await cedarFolder({
      'p.cedar': permit,
      'folder/empty/README.md': '',
      'loud/p.cedar': permit,
      'loud/FORBID.CEDAR': permit,
      'latin.cedar': Uint8Array.of(0x2f, 0x2f, 0xe9),
      'broken.json': '{\n  "a": }',
      'list.json': '[1]',
      'object.json': '{"entities": []}',
      'deep.json': `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`,
      'request.json': '{"principal": "U::\\"u\\"", "context": {}}',
    });
    const { code, out, err } = await folder.cedar(...words);
    expect(code).not.toBe(EXIT.ok);
    expect(code).not.toBe(EXIT.negative);
    expect(out).toBe('');
    expect(err).toContain(said);
    expect(err).not.toContain('    at ');
  });

  test('what a request holds is quoted, and not obeyed', async () => {
    await using folder = await cedarFolder({ 'p.cedar': permit });
    const context = JSON.stringify({ '\u001b[31m': { __extn: { fn: '\u009b2J\u202e', arg: '' } } });
    const { code, err } = await folder.cedar('authorize', 'p.cedar', ...ask, '-c', context);
    expect(code).toBe(EXIT.failed);
    expect(err).toContain('\\u{9b}2J\\u{202e}');
    expect(err).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  });

  test('a thousand entities that do not fit are told of by the hundred', async () => {
    const entities = Array.from({ length: 1000 }, (_, at) => ({ uid: { type: 'U', id: `${at}` } }));
    await using folder = await cedarFolder({
      'e.json': JSON.stringify(entities, undefined, 1),
      's.cedarschema': 'entity V;',
    });
    const { code, out } = await folder.cedar(
      ...['check', '-s', 's.cedarschema', '--entities', 'e.json', '--json'],
    );
    expect(code).toBe(EXIT.negative);
    const { errors, problems } = JSON.parse(out);
    expect(errors).toBe(100);
    expect(problems[99]).toMatchObject({ file: 'e.json', line: 2 + 99 * 6, column: 2 });
  });

  test('names like __proto__ are names like others', async () => {
    await using folder = await cedarFolder({
      'p.cedar':
        'permit (principal, action, resource) when { resource["__proto__"] == 1 && context.constructor == "c" };',
      'e.json': '[{"uid":{"type":"R","id":"__proto__"},"attrs":{"__proto__":1},"parents":[]}]',
    });
    const { code } = await folder.cedar(
      ...['authorize', 'p.cedar', ...asked('U::"u"', 'Action::"a"', 'R::"__proto__"')],
      ...['--entities', 'e.json', '-c', '{"constructor":"c"}'],
    );
    expect(code).toBe(EXIT.ok);
  });
});
