import type { CedarEntity, CedarUid } from '@countersign/cedar';
import { CONNECTION_PROBABILITY, type PaperApplication } from './paper-workload.ts';
import { type Random, reference } from './workload.ts';

/**
 * Files in folders. Whom something is shared with is a hierarchy of views: what user u may view is below
 * `View::"user-u"`, what group g may view is below `View::"group-g"`, which is below the view of each member.
 */
export const gdrive: PaperApplication = {
  name: 'gdrive',
  schema: `
    entity Group;
    entity View in [View];
    entity Folder in [Folder, View];
    entity Document in [Folder, View] = { isPublic: Bool };
    entity User in [Group] = { view: View, documents: Set<Document>, folders: Set<Folder> };
    action read, write, share, changeOwner appliesTo { principal: User, resource: Document };
    action createDocument appliesTo { principal: User, resource: Folder };
  `,
  policies: [
    {
      id: 'viewers-read',
      text: 'permit (principal, action == Action::"read", resource) when { resource in principal.view };',
    },
    {
      id: 'anyone-reads-public',
      text: 'permit (principal, action == Action::"read", resource) when { resource.isPublic };',
    },
    {
      id: 'owners-work',
      text: 'permit (principal, action in [Action::"read", Action::"write", Action::"share"], resource) when { resource in principal.documents || resource in principal.folders };',
    },
    {
      id: 'owners-give-away',
      text: 'permit (principal, action == Action::"changeOwner", resource) when { principal.documents.contains(resource) };',
    },
    {
      id: 'owners-create',
      text: 'permit (principal, action == Action::"createDocument", resource) when { principal.folders.contains(resource) };',
    },
  ],
  actions: {
    read: { principal: 'User', resource: 'Document' },
    write: { principal: 'User', resource: 'Document' },
    share: { principal: 'User', resource: 'Document' },
    changeOwner: { principal: 'User', resource: 'Document' },
    createDocument: { principal: 'User', resource: 'Folder' },
  },
  dereferenced: [],
  entities,
};

function entities(size: number, random: Random): readonly CedarEntity[] {
  const numbers = Array.from({ length: size }, (_, index) => index);
  const some = (count: number) => random.some(count, CONNECTION_PROBABILITY);
  const members = new Map<number, number[]>(numbers.map((group) => [group, []]));
  const users = numbers.map((user): CedarEntity => {
    const groups = some(size);
    for (const group of groups) members.get(group)?.push(user);
    return {
      uid: uid('User', user),
      attrs: {
        view: reference(view('user', user)),
        documents: some(size).map((document) => reference(uid('Document', document))),
        folders: some(size).map((folder) => reference(uid('Folder', folder))),
      },
      parents: groups.map((group) => uid('Group', group)),
    };
  });
  const sharedWith = () => [
    ...some(size).map((user) => view('user', user)),
    ...some(size).map((group) => view('group', group)),
  ];
  return [
    ...users,
    ...numbers.map((user) => bare(view('user', user))),
    ...numbers.map((group) => bare(uid('Group', group))),
    ...numbers.map((group) =>
      bare(
        view('group', group),
        (members.get(group) ?? []).map((user) => view('user', user)),
      ),
    ),
    ...numbers.map((document) => ({
      uid: uid('Document', document),
      attrs: { isPublic: random.chance(0.5) },
      parents: [...some(size).map((folder) => uid('Folder', folder)), ...sharedWith()],
    })),
    // Only in folders of a lower number, so that there is no circle.
    ...numbers.map((folder) =>
      bare(uid('Folder', folder), [
        ...some(folder).map((outer) => uid('Folder', outer)),
        ...sharedWith(),
      ]),
    ),
  ];
}

function uid(type: string, index: number): CedarUid {
  return { type, id: `${type.toLowerCase()}-${index}` };
}

function view(kind: 'user' | 'group', index: number): CedarUid {
  return { type: 'View', id: `${kind}-${index}` };
}

function bare(itself: CedarUid, parents: readonly CedarUid[] = []): CedarEntity {
  return { uid: itself, attrs: {}, parents };
}
