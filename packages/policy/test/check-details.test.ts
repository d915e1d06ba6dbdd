import { expect, test } from 'vitest';
import { repositoryFolder, sharedEngine } from './repository-folder.ts';
import { says } from './says.ts';

const KEY =
  '{ kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }';
const PURPOSES = '  purposes: { fraud-review: Review of a suspicion }\n';
const payment = (fields: string) =>
  `  authorizationDetails: { payment_initiation: { title: Pay, fields: ${fields} } }\n`;

/** What is wrong with a repository whose authority has this, and whose client asks for these types. */
async function checked({ authority = '', types = '[purpose]', policy = '' }) {
  await using folder = await repositoryFolder();
  if (authority !== '') {
    await folder.edit('countersign.yaml', /^authority:\n/m, `authority:\n${authority}`);
  }
  await folder.write(
    'identities/apps.yaml',
    `- id: workload/app
  owner: branches
  client: { id: app, authentication: private_key_jwt, jwks: [${KEY}], scopes: [], audiences: [https://api.bank.example/accounts], authorizationDetailsTypes: ${types} }
`,
  );
  if (policy !== '') await folder.write('policies/more.cedar', policy);
  return await folder.check({ engine: sharedEngine() });
}

test('purposes are a type, and a bank’s own types stand beside it', async () => {
  const authority = `${PURPOSES}${payment('{ amount: { label: Amount, kind: decimal } }')}`;
  const policy = `@id("small") forbid (principal, action, resource)
    when { context has authorizationDetails && context.authorizationDetails has payment_initiation }
    unless { context.authorizationDetails.payment_initiation.amount.lessThan(decimal("10.0")) };`;
  const { problems, repository } = await checked({
    ...{ authority, policy, types: '[purpose, payment_initiation]' },
  });
  expect(problems.map(says)).toEqual([]);
  expect(repository?.config.authority.detailTypes).toMatchObject([
    { type: 'purpose', isForClients: true },
    { type: 'payment_initiation', title: 'Pay', isForClients: false },
  ]);
  const client = repository?.registrations.find((each) => each.client?.id === 'app')?.client;
  expect(client?.detailTypes).toEqual(['purpose', 'payment_initiation']);
});

test.each([
  [
    'a type that is not defined',
    { authority: PURPOSES, types: '[purpse]' },
    /did you mean 'purpose'/,
  ],
  ['a type where there are none', { types: '[purpose]' }, /type 'purpose'; a type of 'authority/],
  [
    'a type by the name of purpose',
    { authority: payment('{}').replace('payment_initiation', 'purpose') },
    /not purpose/,
  ],
  ['a field called type', { authority: payment('{ type: { label: T } }') }, /no word of Cedar/],
  [
    'a field that Cedar reads otherwise',
    { authority: payment('{ in: { label: T } }') },
    /no word of Cedar/,
  ],
  [
    'a record that has values',
    { authority: payment('{ a: { label: T, values: [x], fields: { b: { label: B } } } }') },
    /'a' with fields and more/,
  ],
  [
    'values of an integer',
    { authority: payment('{ a: { label: T, kind: integer, values: ["1"] } }') },
    /'a' with values of kind integer/,
  ],
  [
    'content that does not say where a field stands',
    { authority: payment('{ a: { label: A }, b: { label: B } }, content: { a: /a }') },
    /nothing of b; where each field stands/,
  ],
  [
    'content of a field that there is not',
    { authority: payment('{ a: { label: A } }, content: { a: /a, c: /c }') },
    /field 'c'/,
  ],
  [
    'content that is no pointer',
    { authority: payment('{ a: { label: A } }, content: { a: a }') },
    /JSON Pointer/,
  ],
  [
    'a policy that misspells a field',
    {
      authority: `${PURPOSES}${payment('{ amount: { label: A, kind: decimal } }')}`,
      policy: `@id("x") permit (principal, action, resource) when { context has authorizationDetails &&
        context.authorizationDetails has payment_initiation && context.authorizationDetails.payment_initiation.amont == "1" };`,
    },
    /amont/,
  ],
])('%s is a problem', async (_what, written, words) => {
  const { problems } = await checked(written);
  expect(problems.map(says)).toContainEqual(expect.stringMatching(words));
});
