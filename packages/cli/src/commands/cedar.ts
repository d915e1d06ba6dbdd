import type { Command, OptionSpec } from '../command-line/command.ts';
import { shared } from './options.ts';

/** Options that the commands on Cedar share, so that they read and mean the same everywhere. */
const cedar = {
  policies: {
    type: 'string',
    short: 'p',
    multiple: true,
    value: 'FILE|FOLDER',
    help: '.cedar files, or folders of them; .json: links of templates',
  },
  links: {
    type: 'string',
    short: 'k',
    multiple: true,
    value: 'FILE',
    help: 'links of templates, JSON, whatever the file is called',
  },
  schema: { type: 'string', short: 's', value: 'FILE', help: 'a schema, in Cedar syntax or JSON' },
  entities: { type: 'string', value: 'FILE', help: "entities, in Cedar's JSON" },
  principal: { type: 'string', short: 'l', value: 'ENTITY', help: `who asks: 'User::"alice"'` },
  action: { type: 'string', short: 'a', value: 'ENTITY', help: `what for: 'Action::"view"'` },
  resource: { type: 'string', short: 'r', value: 'ENTITY', help: `on what: 'Photo::"door.jpg"'` },
  context: {
    type: 'string',
    short: 'c',
    value: 'FILE|JSON',
    help: 'the context, a JSON object (default: {})',
  },
  strict: { type: 'boolean', help: 'deny when a forbid fails to evaluate: Cedar itself skips it' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const request = {
  principal: cedar.principal,
  action: cedar.action,
  resource: cedar.resource,
  context: cedar.context,
  request: {
    type: 'string',
    value: 'FILE',
    help: 'JSON with principal, action, resource and context, instead of the four',
  },
  'no-request-validation': {
    type: 'boolean',
    help: 'take any principal and resource; the action and the context must fit all the same',
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const operands = { operands: '[POLICIES…]', operandsMax: 10_000 } as const;

const POLICIES =
  'Policies stand as operands or after --policies, as files or folders (every *.cedar below, and *.links.json: links of templates).\nA policy is called by its @id; without one policy0, policy1, … by its place among all of them.';

/** `countersign cedar check` */
export const cedarCheckCommand: Command = {
  name: 'cedar check',
  summary: 'tell all that is wrong with Cedar policies, a schema and entities',
  ...operands,
  description: `Parses everything, validates policies against the schema and entities by it, and reports every problem at once: file, line,\ncolumn, the line itself with a mark, how to mend it.\n${POLICIES}\nExit code 0 without errors, 1 with some; warnings are told, and count with --strict.`,
  options: {
    policies: cedar.policies,
    links: cedar.links,
    schema: cedar.schema,
    entities: cedar.entities,
    strict: { type: 'boolean', help: 'count warnings as errors' },
    json: shared.json,
  },
  examples: [
    'countersign cedar check policies --schema schema.cedarschema --entities entities.json',
    'countersign cedar check *.cedar --json',
  ],
  run: async (args, io) => (await import('../cedar/run-check.ts')).runCedarCheck(args, io),
};

/** `countersign cedar authorize` */
export const cedarAuthorizeCommand: Command = {
  name: 'cedar authorize',
  summary: 'decide one request under Cedar policies',
  ...operands,
  description: `Answers as the official Cedar engine does: decision, the policies that determined it, and those that failed to evaluate.\nPolicies are not validated against the schema: that is for cedar check.\n${POLICIES}\nExit code 0 for allow, 1 for deny, 2 for wrong usage, 3 when the question could not be asked.`,
  options: {
    policies: cedar.policies,
    links: cedar.links,
    ...request,
    entities: cedar.entities,
    schema: cedar.schema,
    strict: cedar.strict,
    json: shared.json,
  },
  examples: [
    `countersign cedar authorize policies --principal 'User::"alice"' --action 'Action::"view"' --resource 'Photo::"door.jpg"'`,
    'countersign cedar authorize policies --request request.json --entities entities.json --schema schema.cedarschema --json',
  ],
  run: async (args, io) => (await import('../cedar/run-authorize.ts')).runAuthorize(args, io),
};

/** `countersign cedar explain` */
export const cedarExplainCommand: Command = {
  name: 'cedar explain',
  summary: 'tell why a request is allowed or denied, clause by clause, and what would turn it',
  ...operands,
  description: `For each policy that could have applied: which clause held and which failed, where it stands, and the values it saw. With\n--raise, for a denied request: the least change of the named context attributes that would have it allowed. Exit code as for\ncedar authorize.\n${POLICIES}`,
  options: {
    policies: cedar.policies,
    links: cedar.links,
    ...request,
    entities: cedar.entities,
    schema: cedar.schema,
    raise: {
      type: 'string',
      multiple: true,
      value: 'NAME[=VALUE,…]',
      help: 'a context attribute that can be raised, and to what; repeat for each',
    },
    lower: {
      type: 'string',
      multiple: true,
      value: 'NAME[=VALUE,…]',
      help: 'the same of one that gets better as it falls: a risk',
    },
    strict: cedar.strict,
    json: shared.json,
  },
  examples: [
    `countersign cedar explain policies --request request.json --entities entities.json --raise acr=silver,gold --raise purpose`,
  ],
  run: async (args, io) => (await import('../cedar/run-explain.ts')).runExplain(args, io),
};

/** `countersign cedar filter` */
export const cedarFilterCommand: Command = {
  name: 'cedar filter',
  summary: 'turn policies into the SQL condition that selects the rows somebody may have',
  ...operands,
  description: `For one principal and action, with the resource left open: a WHERE condition with parameters that selects exactly the rows\nthat the policies allow. What has no faithful SQL is refused, naming policy and place, and never approximated: exit code 1.\nThe mapping file tells how entities are stored: docs/start/cedar.md.\n${POLICIES}`,
  options: {
    policies: cedar.policies,
    links: cedar.links,
    principal: cedar.principal,
    action: cedar.action,
    'resource-type': { type: 'string', value: 'TYPE', help: 'the type of the resources: Photo' },
    context: cedar.context,
    dialect: { type: 'string', value: 'NAME', help: 'postgres or sqlite' },
    table: { type: 'string', value: 'FILE', help: 'how entities are stored, JSON' },
    alias: {
      type: 'string',
      value: 'NAME',
      help: 'what the statement calls the row (default: resource)',
    },
    entities: cedar.entities,
    schema: cedar.schema,
    strict: cedar.strict,
    json: shared.json,
  },
  examples: [
    `countersign cedar filter policies --schema schema.cedarschema --principal 'User::"alice"' --action 'Action::"view"' \\\n    --resource-type Photo --dialect postgres --table mapping.json`,
  ],
  run: async (args, io) => (await import('../cedar/run-filter.ts')).runFilter(args, io),
};

/** `countersign cedar who` */
export const cedarWhoCommand: Command = {
  name: 'cedar who',
  summary: 'list who may do it, on what one may do it, or what one may do',
  ...operands,
  description: `Of principal, action and resource, name two: the third is looked for among the entities of the file. Actions are those of the schema\nwhose context the given one fits, or without a schema those that policies name.\nOne page at a time: --cursor goes on where the page before ended.\n${POLICIES}\nExit code 0 when something was found, 1 when nothing was.`,
  options: {
    policies: cedar.policies,
    links: cedar.links,
    principal: cedar.principal,
    action: cedar.action,
    resource: cedar.resource,
    type: { type: 'string', value: 'TYPE', help: 'only entities of this type: User' },
    context: cedar.context,
    entities: cedar.entities,
    schema: cedar.schema,
    limit: { type: 'string', value: 'N', help: 'found at most on one page (default: 100)' },
    cursor: { type: 'string', value: 'CURSOR', help: 'where the page before ended' },
    all: { type: 'boolean', help: 'all pages, one after the other' },
    strict: cedar.strict,
    json: shared.json,
  },
  examples: [
    `countersign cedar who policies --entities entities.json --action 'Action::"view"' --resource 'Photo::"door.jpg"' --type User`,
    `countersign cedar who policies --entities entities.json --principal 'User::"alice"' --action 'Action::"view"' --all --json`,
  ],
  run: async (args, io) => (await import('../cedar/run-who.ts')).runWho(args, io),
};

/** `countersign cedar vectors` */
export const cedarVectorsCommand: Command = {
  name: 'cedar vectors',
  summary: 'run tests in the format of the official Cedar suite',
  operands: 'PATH',
  operandsMax: 1,
  description:
    'Runs a test file, or every test in a folder and below: policies, requests and the expected decision, reasons and errors of\neach; schema and entities may be absent; links of templates stand in the test or beside the policies (x.links.json beside\nx.cedar). Prints {"tests", "requests", "mismatches": [{"test", "request", "expected", "got"}]}. Exit code 0 only without mismatch.',
  options: {
    root: {
      type: 'string',
      value: 'DIR',
      help: 'what the paths in tests are relative to (default: .)',
    },
    json: shared.json,
  },
  examples: [
    'countersign cedar vectors cedar-integration-tests/tests --root cedar-integration-tests',
  ],
  run: async (args, io) => (await import('../cedar/run-vectors.ts')).runCedarVectors(args, io),
};
