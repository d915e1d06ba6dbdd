/** What of a JSON Schema the page tells. */
interface Schema {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

/** Nested deeper than any of ours; a schema that is deeper would be one that holds itself. */
const DEPTH_MAX = 8;

/** `docs/reference/yaml.md`: every key of every file of a bank's repository. */
export function yamlPage(schemas: Readonly<Record<string, object>>): string {
  return [
    "# The bank's repository",
    '',
    'Made from the JSON Schemas of `packages/policy` by `packages/cli/scripts/write-reference.ts`. `countersign check` knows more than they do: what',
    'refers to what, what an API description says, whether policies fit. A key that is not listed is refused, not ignored.',
    '',
    '**In an editor**: the schemas are files, `packages/policy/schemas/<name>.schema.json` in a checkout and',
    '`node_modules/@countersign/policy/schemas/<name>.schema.json` where the package is installed. With the YAML language server (VS Code, Neovim, …) a file',
    'names its own in the first line:',
    '',
    '    # yaml-language-server: $schema=../node_modules/@countersign/policy/schemas/surface.schema.json',
    '',
    'Durations are a whole number and `s`, `m` or `h` (`5m`); how long the record is kept is said in `days`, `months` or `years` (`3 months`).',
    'Paths are relative to the file that names them, unless it says otherwise. `[]` stands for each entry of a list, `<name>` for a name of yours.',
    ...Object.entries(schemas).flatMap(([file, schema]) => section(file, schema)),
    '',
    '## policies/*.cedar',
    '',
    'Cedar 4.5, each policy with an `@id` of its own. `policies/schema.cedarschema` declares what the generated schema cannot know: attributes of',
    'subjects and entities, and further types. `packages/policy/README.md` tells how actions and types get their names.',
    '',
  ].join('\n');
}

function section(file: string, schema: Schema): readonly string[] {
  const isList = schema.type === 'array';
  const root: Schema = isList ? (schema.items ?? {}) : schema;
  return [
    '',
    `## ${schema.title ?? file}`,
    '',
    `${capital(schema.description ?? file)}${isList ? ': a list, and the keys of each entry' : ''}. Schema: \`${file}\`.`,
    '',
    '| key | value | |',
    '| --- | --- | --- |',
    ...rowsOf(root, '', 0),
  ];
}

function* rowsOf(schema: Schema, prefix: string, depth: number): Generator<string> {
  if (depth > DEPTH_MAX) throw new Error(`schema nests deeper than ${DEPTH_MAX} at ${prefix}`);
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const isRequired = schema.required?.includes(key) === true && value.default === undefined;
    yield `| \`${path}\`${isRequired ? ' **required**' : ''} | ${kindOf(value)} | ${about(value)} |`;
    yield* below(value, path, depth);
  }
}

function* below(value: Schema, path: string, depth: number): Generator<string> {
  if (value.properties) yield* rowsOf(value, path, depth + 1);
  if (value.items?.properties) yield* rowsOf(value.items, `${path}[]`, depth + 1);
  const { additionalProperties: each } = value;
  if (typeof each === 'object' && each.properties) yield* rowsOf(each, `${path}.<name>`, depth + 1);
}

function kindOf({ enum: words, type, anyOf, items, additionalProperties }: Schema): string {
  if (anyOf) return [...new Set(anyOf.map(kindOf))].join(' or ');
  if (words) return words.map((word) => `\`${String(word)}\``).join(' ');
  if (type === 'array') return `list of ${items ? kindOf(items) : 'anything'}`;
  if (type === 'object') return typeof additionalProperties === 'object' ? 'mapping' : 'keys below';
  return (
    { string: 'text', boolean: '`true` `false`', integer: 'whole number' }[type ?? ''] ?? 'any'
  );
}

function about({ description = '', default: preset, examples }: Schema): string {
  const parts = [description];
  const isEmpty = ['[]', '{}', '""'].includes(JSON.stringify(preset));
  if (preset !== undefined && !isEmpty) parts.push(`by default \`${shown(preset)}\``);
  const [example] = examples ?? [];
  if (typeof example === 'string' && example !== preset) parts.push(`such as \`${example}\``);
  return parts.filter(Boolean).join('; ').replaceAll('|', '\\|');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
