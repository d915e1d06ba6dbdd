import { expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';
import { says } from './says.ts';

const SERVES = 'https://agents.bank.example/assistant';
const KEY =
  '{ kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }';

const client = (id: string, more: string) =>
  `{ id: ${id}, authentication: private_key_jwt, jwks: [${KEY}], scopes: [], ${more} }`;

/** An application that hands tokens to an agent; both as a test writes them. */
async function checked({
  subject = 'agent/assistant',
  audiences = `[${SERVES}]`,
  exchange = `{ from: [teller], serves: [${SERVES}] }`,
  more = '',
} = {}) {
  await using folder = await repositoryFolder();
  await folder.write(
    'identities/agents.yaml',
    `- id: workload/teller
  owner: branches
  client: ${client('teller', `audiences: ${audiences}`)}
- id: ${subject}
  owner: branches
  client: ${client('assistant', `audiences: [https://api.bank.example/accounts], exchange: ${exchange}${more}`)}
`,
  );
  return await folder.check();
}

test('an agent is an audience of its own, and its depth is 3 when nobody says', async () => {
  const { problems, repository } = await checked();
  expect(problems.map(says)).toEqual([]);
  const agent = repository?.registrations.find(({ subject }) => subject.id.endsWith('assistant'));
  expect(agent?.client?.exchange).toEqual({ from: ['teller'], serves: [SERVES], depthMax: 3 });
});

test.each([
  [
    'a client that nobody registered',
    { exchange: `{ from: [tellr], serves: [${SERVES}] }` },
    /agents\.yaml:6:\d+ error: client 'tellr'; the id of a client.*did you mean 'teller'/,
  ],
  [
    'itself',
    { exchange: `{ from: [teller, assistant], serves: [${SERVES}] }` },
    /which it is itself/,
  ],
  ['nobody', { exchange: `{ from: [], serves: [${SERVES}] }` }, /at least one client/],
  ['no audience', { exchange: '{ from: [teller], serves: [] }' }, /at least one audience/],
  [
    'an audience that nobody gets tokens for',
    { audiences: '[https://api.bank.example/accounts]' },
    /for which no client of 'from' gets tokens.*add it to that client's 'audiences'/,
  ],
  [
    'too deep a chain',
    { exchange: `{ from: [teller], serves: [${SERVES}], depth: 6 }` },
    /agents\.yaml:6:\d+ error: 6 .*1 to 5/,
  ],
  ['a partner', { subject: 'partner/robot' }, /exchange of a partner; an agent or workload/],
  [
    'an application for people',
    { more: ', people: { redirectUris: [https://a.bank.example/cb] }' },
    /exchange of an application that people sign in to/,
  ],
])('%s is a problem', async (_what, written, says_) => {
  const { problems } = await checked(written);
  expect(problems.map(says)).toContainEqual(expect.stringMatching(says_));
});
