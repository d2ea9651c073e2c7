// SPDX-License-Identifier: GPL-2.0-only

//! Who calls: the current task's ids, as the driver is to see them.

use kernel::{
    bindings, cred::Credential, fs::File, pid_namespace::PidNamespace, prelude::*, sync::aref::ARef,
};

/// A caller's ids in the namespaces of a driver.
#[derive(Clone, Copy, Default)]
pub(crate) struct Caller {
    /// The process; 0 where it is not visible.
    pub(crate) pid: u32,
    /// The thread; 0 where it is not visible.
    pub(crate) tid: u32,
    /// The file-system user id.
    pub(crate) uid: u32,
    /// The file-system group id.
    pub(crate) gid: u32,
}

/// The owner of a node, in the kernel's own ids.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(super) uid: bindings::kuid_t,
    pub(super) gid: bindings::kgid_t,
}

/// The namespaces that ids are translated for: those of who opened the control node.
pub(crate) struct Viewer {
    pids: Option<ARef<PidNamespace>>,
    /// That is the initial one, whose numbers stand in each task.
    initial_pids: bool,
    credential: ARef<Credential>,
    /// The process that opened, by the number the initial namespace has for it.
    pid: u32,
}

impl Viewer {
    /// The current task, which opens `file`.
    pub(crate) fn new(file: &File) -> Self {
        let task = kernel::current!();
        let pids = task.active_pid_ns();
        Self {
            initial_pids: pids
                .is_some_and(|pids| core::ptr::eq(pids.as_ptr(), &raw mut bindings::init_pid_ns)),
            pids: pids.map(ARef::from),
            credential: ARef::from(file.cred()),
            pid: current_pid(),
        }
    }

    /// Whether the current task may take the place of who opened: it is of the same user, or may do
    /// anything, and sees the ids of callers as that one did.
    pub(crate) fn may_be_succeeded(&self) -> bool {
        let task = kernel::current!();
        let pids = task.active_pid_ns();
        let sees_the_same = match (pids, &self.pids) {
            (Some(own), Some(theirs)) => core::ptr::eq(own.as_ptr(), theirs.as_ptr()),
            (None, None) => true,
            _ => false,
        };
        // SAFETY: only the task itself replaces its credentials, and it is here now; those of the
        // file do not change, and are held.
        let (same_users, same_user) = unsafe {
            let own = (*task.as_ptr()).cred;
            let theirs = self.credential.as_ptr();
            (
                core::ptr::eq((*own).user_ns, (*theirs).user_ns),
                (*own).fsuid.val == (*theirs).fsuid.val,
            )
        };
        // CAST: a small number.
        const ADMIN: c_int = bindings::CAP_SYS_ADMIN as c_int;
        sees_the_same
            && same_users
            // SAFETY: the namespace is held by the credential.
            && (same_user || unsafe { bindings::ns_capable(self.users(), ADMIN) })
    }

    /// The process that opened, in the initial pid namespace.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn users(&self) -> *mut bindings::user_namespace {
        // SAFETY: a credential's namespace never changes, and the credential holds it.
        unsafe { (*self.credential.as_ptr()).user_ns }
    }

    /// The current task, as seen from here.
    pub(crate) fn caller(&self) -> Caller {
        let task = kernel::current!();
        let (pid, tid) = match self.initial_pids {
            // SAFETY: the task is the current one; nobody else changes these while it runs.
            true => unsafe { ((*task.as_ptr()).tgid, (*task.as_ptr()).pid) },
            false => (
                task.tgid_nr_ns(self.pids.as_deref()),
                self.tid(task.as_ptr()),
            ),
        };
        // SAFETY: only the task itself replaces its credentials, and it is here now.
        let (uid, gid) = unsafe {
            let credential = (*task.as_ptr()).cred;
            ((*credential).fsuid, (*credential).fsgid)
        };
        Caller {
            pid: u32::try_from(pid).unwrap_or(0),
            tid: u32::try_from(tid).unwrap_or(0),
            uid: self.uid(uid),
            gid: self.gid(gid),
        }
    }

    /// The thread's number of the current task.
    fn tid(&self, task: *mut bindings::task_struct) -> bindings::pid_t {
        let pids = self
            .pids
            .as_ref()
            .map_or(core::ptr::null_mut(), |pids| pids.as_ptr());
        // SAFETY: the task is the current one, and the namespace is null or held.
        unsafe { bindings::__task_pid_nr_ns(task, bindings::pid_type_PIDTYPE_PID, pids) }
    }

    /// Whether ids are shown as the kernel has them: the initial namespace maps each to itself.
    fn sees_all(&self) -> bool {
        core::ptr::eq(self.users(), &raw mut bindings::init_user_ns)
    }

    fn uid(&self, uid: bindings::kuid_t) -> u32 {
        match self.sees_all() {
            true => uid.val,
            // SAFETY: the namespace is held by the credential.
            false => unsafe { bindings::from_kuid_munged(self.users(), uid) },
        }
    }

    fn gid(&self, gid: bindings::kgid_t) -> u32 {
        match self.sees_all() {
            true => gid.val,
            // SAFETY: the namespace is held by the credential.
            false => unsafe { bindings::from_kgid_munged(self.users(), gid) },
        }
    }

    /// The user and group a driver means by these ids.
    pub(crate) fn owner(&self, uid: u32, gid: u32) -> Result<Owner> {
        // SAFETY: the namespace is held by the credential, here and below.
        let user = unsafe { bindings::make_kuid(self.users(), uid) };
        // SAFETY: as above.
        let group = unsafe { bindings::make_kgid(self.users(), gid) };
        if user.val == u32::MAX || group.val == u32::MAX {
            return Err(EINVAL);
        }
        Ok(Owner {
            uid: user,
            gid: group,
        })
    }
}

/// The process of the current task, in the initial pid namespace.
pub(crate) fn current_pid() -> u32 {
    u32::try_from(kernel::current!().tgid_nr_ns(None)).unwrap_or(0)
}

/// Whether the current task is on its way out: no signal will ever wake it again
/// (`complete_signal` passes over `PF_EXITING`), so it must not wait for anybody.
pub(crate) fn exiting() -> bool {
    let task = kernel::current!();
    // SAFETY: only the task itself changes its `flags`.
    let flags = unsafe { (*task.as_ptr()).flags };
    flags & bindings::PF_EXITING != 0
}

/// Whether the current task closes files because it runs another program (`do_close_on_exec`). Nobody
/// sees what such a close returns. It may be the child of a driver, and hold the last copy of the
/// driver's own control file: to wait for an answer would then be to wait for ever.
pub(crate) fn executing() -> bool {
    let task = kernel::current!();
    // SAFETY: the field is among those that only the task itself accesses (linux/sched.h).
    unsafe { bindings::task_struct::in_execve_raw(task.as_ptr()) != 0 }
}
