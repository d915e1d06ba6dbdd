import type { CedarEntity, CedarUid } from '@countersign/cedar';
import { CONNECTION_PROBABILITY, type PaperApplication } from './paper-workload.ts';
import { type Random, reference } from './workload.ts';

const APPLICATION: CedarUid = { type: 'Application', id: 'TinyTodo' };
const TASKS_MAX = 50;

/** Shared lists of tasks: each list has an owner, a team that may read it and a team that may change it. */
export const tinytodo: PaperApplication = {
  name: 'tinytodo',
  schema: `
    type Task = { id: Long, name: String, state: String };
    entity Application;
    entity Team in [Team, Application];
    entity User in [Team, Application];
    entity List in [Application] = {
      owner: User, name: String, readers: Team, editors: Team, tasks: Set<Task>
    };
    action CreateList, GetLists appliesTo { principal: User, resource: Application };
    action GetList, UpdateList, DeleteList, CreateTask, UpdateTask, DeleteTask, EditShares
      appliesTo { principal: User, resource: List };
  `,
  policies: [
    {
      id: 'anyone-starts',
      text: 'permit (principal, action in [Action::"CreateList", Action::"GetLists"], resource == Application::"TinyTodo");',
    },
    {
      id: 'owner-may-all',
      text: 'permit (principal, action, resource) when { resource has owner && resource.owner == principal };',
    },
    {
      id: 'shared-read',
      text: 'permit (principal, action == Action::"GetList", resource) when { principal in resource.readers || principal in resource.editors };',
    },
    {
      id: 'editors-change',
      text: 'permit (principal, action in [Action::"UpdateList", Action::"CreateTask", Action::"UpdateTask", Action::"DeleteTask"], resource) when { principal in resource.editors };',
    },
  ],
  actions: {
    CreateList: { principal: 'User', resource: 'Application' },
    GetLists: { principal: 'User', resource: 'Application' },
    GetList: { principal: 'User', resource: 'List' },
    UpdateList: { principal: 'User', resource: 'List' },
    DeleteList: { principal: 'User', resource: 'List' },
    CreateTask: { principal: 'User', resource: 'List' },
    UpdateTask: { principal: 'User', resource: 'List' },
    DeleteTask: { principal: 'User', resource: 'List' },
    EditShares: { principal: 'User', resource: 'List' },
  },
  dereferenced: [],
  entities,
};

function entities(size: number, random: Random): readonly CedarEntity[] {
  const numbers = Array.from({ length: size }, (_, index) => index);
  const teams = (count: number) =>
    random.some(count, CONNECTION_PROBABILITY).map((team) => uid('Team', team));
  return [
    { uid: APPLICATION, attrs: {}, parents: [] },
    ...numbers.map((user) => ({
      uid: uid('User', user),
      attrs: {},
      parents: [...teams(size), APPLICATION],
    })),
    // Only in teams of a lower number, so that there is no circle.
    ...numbers.map((team) => ({
      uid: uid('Team', team),
      attrs: {},
      parents: [...teams(team), APPLICATION],
    })),
    ...numbers.map(
      (list): CedarEntity => ({
        uid: uid('List', list),
        attrs: {
          name: `list-${list}`,
          owner: reference(uid('User', random.below(size))),
          readers: reference(uid('Team', random.below(size))),
          editors: reference(uid('Team', random.below(size))),
          tasks: Array.from({ length: random.below(TASKS_MAX + 1) }, () => ({
            id: random.below(1_000_000),
            name: `task-${random.below(1_000_000)}`,
            state: random.chance(0.5) ? 'open' : 'done',
          })),
        },
        parents: [APPLICATION],
      }),
    ),
  ];
}

function uid(type: string, index: number): CedarUid {
  return { type, id: `${type.toLowerCase()}-${index}` };
}
