import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

/** A bank's vaults: an owner opens hers, auditors look into all of a branch, nobody at high risk. */
export const VAULTS: Readonly<Record<string, string>> = {
  'policies/owner.cedar': `@id("owner-opens")
permit (principal, action == Action::"open", resource is Vault)
when { resource.owner == principal && context.acr == "gold" };
`,
  'policies/deep/risk.cedar': `// No id: it goes by its place.
forbid (principal, action, resource)
when { context has risk && context.risk > 80 };
`,
  'policies/branch.cedar': `@id("branch-template")
permit (principal in ?principal, action == Action::"look", resource in ?resource);
`,
  'policies/branch.links.json': JSON.stringify([
    {
      template_id: 'branch-template',
      link_id: 'auditors-look',
      args: { '?principal': 'Group::"auditors"', '?resource': 'Branch::"north"' },
    },
  ]),
  'vaults.cedarschema': `entity Group, Branch;
entity User in [Group];
entity Vault in [Branch] { owner: User, level?: Long };
action open, look appliesTo {
  principal: User, resource: Vault, context: { acr: String, risk?: Long, approved?: Bool }
};
`,
  'entities.json': JSON.stringify([
    { uid: { type: 'Group', id: 'auditors' }, attrs: {}, parents: [] },
    { uid: { type: 'Branch', id: 'north' }, attrs: {}, parents: [] },
    { uid: { type: 'User', id: 'alice' }, attrs: {}, parents: [] },
    { uid: { type: 'User', id: 'bob' }, attrs: {}, parents: [{ type: 'Group', id: 'auditors' }] },
    ...['v1', 'v2'].map((id) => ({
      uid: { type: 'Vault', id },
      attrs: { owner: { type: 'User', id: id === 'v1' ? 'alice' : 'bob' }, level: 7 },
      parents: [{ type: 'Branch', id: 'north' }],
    })),
  ]),
  'mapping.json': JSON.stringify({
    Vault: {
      table: 'vaults',
      id: 'id',
      attributes: {
        owner: { column: 'owner_id', type: { entity: 'User' } },
        level: { column: 'level', type: 'long' },
      },
      parents: [{ type: 'Branch', column: 'branch_id' }],
    },
  }),
};

/** Files in a folder of their own, and `countersign cedar …` in it. */
export interface CedarFolder extends AsyncDisposable {
  readonly path: string;
  write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
  cedar(...words: readonly string[]): Promise<Ran>;
}

export async function cedarFolder(
  files: Readonly<Record<string, string | Uint8Array>> = VAULTS,
): Promise<CedarFolder> {
  const folder = await temporaryFolder();
  const made: CedarFolder = {
    path: folder.path,
    async write(more) {
      for (const [name, content] of Object.entries(more)) {
        await mkdir(dirname(join(folder.path, name)), { recursive: true });
        await writeFile(join(folder.path, name), content);
      }
    },
    cedar: (...words) => countersign(['cedar', ...words], { cwd: folder.path }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  await made.write(files);
  return made;
}

/** The schema and the entities of {@link VAULTS}, as options. */
export const DATA: readonly string[] = [
  ...['--schema', 'vaults.cedarschema'],
  ...['--entities', 'entities.json'],
];

/** `User::"alice"`, `Action::"open"` and `Vault::"v1"` as options. */
export function asked(principal: string, action: string, resource: string): readonly string[] {
  return ['--principal', principal, '--action', action, '--resource', resource];
}

export const ALICE_OPENS = asked('User::"alice"', 'Action::"open"', 'Vault::"v1"');
