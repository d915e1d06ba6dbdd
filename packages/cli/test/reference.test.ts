import { existsSync, globSync, readFileSync } from 'node:fs';
import { commands } from '@countersign/cli';
import { DENIAL_REASONS } from '@countersign/model';
import { jsonSchemas } from '@countersign/policy';
import { describe, expect, test } from 'vitest';
import { allBounds } from '../scripts/bounds.ts';
import { commandsPage } from '../scripts/commands-page.ts';
import { limitsPage } from '../scripts/limits-page.ts';
import { yamlPage } from '../scripts/yaml-page.ts';

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const page = (name: string): string => read(`docs/reference/${name}.md`);
const files = (pattern: string): readonly string[] => globSync(pattern, { cwd: root.pathname });

describe('the pages that are made are current; packages/cli/scripts/write-reference.ts makes them', () => {
  test('commands.md', () => {
    expect(page('commands')).toBe(commandsPage(commands));
  });
  test('yaml.md', () => {
    expect(page('yaml')).toBe(yamlPage(jsonSchemas()));
  });
  test('limits.md', () => {
    expect(page('limits')).toBe(limitsPage(allBounds((path) => read(`packages/${path}`))));
  });
  test('limits.md says what every bound is', () => {
    expect(page('limits')).not.toMatch(/\| \d+ \| {2}\|/);
  });
});

describe('reasons.md', () => {
  const rows = new Map(
    [...page('reasons').matchAll(/^\| `([a-z-]+)` \| .+ \| .+ \| (\d{3}) \|$/gm)].map(
      ([, reason = '', status]) => [reason, Number(status)],
    ),
  );

  test('has a row for every reason, in their order, and no other', () => {
    expect([...rows.keys()]).toEqual([...DENIAL_REASONS]);
  });

  test('says the status that an enforcement point answers', () => {
    expect(rows).toEqual(new Map(DENIAL_REASONS.map((reason) => [reason, statusOf(reason)])));
  });
});

/** The room exports no table of answers: nobody else needs one. Its source says which class has which status. */
function statusOf(reason: string): number {
  const source = read('packages/enforcement/src/enforce/refusal-answer.ts');
  const cases = source.slice(source.indexOf('function classOf'));
  const [, kind = ''] =
    new RegExp(`case '${reason}':\\s*(?:case '[a-z-]+':\\s*)*return '([a-z-]+)'`).exec(cases) ?? [];
  const classes = source.slice(source.indexOf('const CLASSES'));
  const [, status] = new RegExp(`'?${kind}'?: \\{\\s*status: (\\d+)`).exec(classes) ?? [];
  return Number(status);
}

describe('errors.md', () => {
  const listed = [...page('errors').matchAll(/^\| `(ERR_[A-Z_]+)` \| .+\.+ \|$/gm)].map(
    ([, code]) => code,
  );
  const declared = files('packages/*/src/**/*-error.ts').flatMap((file) => {
    const [, union = ''] = /ErrorCode =([\s\S]*?)';\n/.exec(read(file)) ?? [];
    return [...`${union}'`.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code]) => code);
  });

  test('lists every code of every room once, and no other', () => {
    expect(declared.length).toBeGreaterThan(80);
    expect(listed.toSorted()).toEqual(declared.toSorted());
  });
});

describe('events.md', () => {
  const source = read('packages/model/src/event.ts');
  const text = page('events');

  test.each(
    [...source.matchAll(/^ {2}(\w+): (?:z\.|spiffeId|uid)/gm)].map(([, field = '']) => field),
  )('tells of the field %s', (field) => {
    expect(text).toMatch(new RegExp(`^\\|.*\`${field}\`.*\\|`, 'm'));
  });

  test.each([...source.matchAll(/kind: z\.literal\('(\w+)'\)/g)].map(([, kind = '']) => kind))(
    'has a section for %s',
    (kind) => {
      expect(text).toMatch(new RegExp(`^##+ .*\\b${kind}\\b`, 'm'));
    },
  );

  test('names the words of every closed list', () => {
    const words = [...source.matchAll(/z\.enum\(\[([^\]]+)\]\)/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/'([\w-]+)'/g)].map(([, word]) => word),
    );
    expect(words.filter((word) => !text.includes(`\`${word}\``))).toEqual([]);
  });
});

describe('operate', () => {
  test('lists every metric that is told anywhere', () => {
    const text = read('docs/operate/README.md');
    const sources = files('packages/{audit,cli}/src/**/*.ts').map(read).join('\n');
    const names = [...sources.matchAll(/'(countersign_[a-z_]+)'/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(12);
    expect(names.filter((name) => !new RegExp(`\`${name}[{\`]`).test(text))).toEqual([]);
  });

  test('lists every alarm that is raised anywhere', () => {
    const text = read('docs/operate/README.md');
    const sources = files('packages/*/src/**/*.ts').map(read).join('\n');
    const names = [
      ...[...sources.matchAll(/alarm: '([a-z-]+)'/g)].map(([, name]) => name),
      ...unionOf('packages/enforcement/src/point-context.ts', 'AlarmName'),
      ...unionOf('packages/audit/src/collector.ts', 'CollectorAlarmKind'),
      ...unionOf('packages/audit/src/export/exporter.ts', 'ExportAlarmKind'),
    ];
    names.push(...[...sources.matchAll(/alarm: \(kind: '([a-z-]+)'/g)].map(([, name]) => name));
    expect(names.length).toBeGreaterThan(12);
    expect(names.filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });
});

function unionOf(file: string, name: string): readonly (string | undefined)[] {
  const [, union = ''] = new RegExp(`type ${name} =([\\s\\S]*?');`).exec(read(file)) ?? [];
  return [...union.matchAll(/\| '([a-z-]+)'/g)].map(([, word]) => word);
}

test('every link of the documents leads somewhere', () => {
  const documents = [
    ...files('docs/**/*.md'),
    ...files('*.md'),
    ...files('packages/*/README.md'),
    ...files('examples/*/README.md'),
  ];
  const broken = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)#\s]+)(?:#([\w-]+))?\)|\]\(#([\w-]+)\)/g)].flatMap(
      ([link, path, anchor, own]) => {
        if (path !== undefined && /^[a-z]+:/.test(path)) return [];
        const target = path === undefined ? file : new URL(path, new URL(file, root)).pathname;
        if (path !== undefined && !existsSync(target)) return [`${file}: ${link}`];
        const name = anchor ?? own;
        const text =
          name === undefined ? '' : path === undefined ? read(file) : readFileSync(target, 'utf8');
        return name === undefined || anchorsOf(text).includes(name) ? [] : [`${file}: ${link}`];
      },
    ),
  );
  expect(broken).toEqual([]);
});

function anchorsOf(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}
