//! What keys do: to the prompt that is shown, to the queue, and to the job.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::editor;
use super::form::{Form, Outcome};
use super::keys::Key;
use super::person::{End, KEY, Person};
use super::signals;
use crate::desk::{By, Verdict};
use crate::secret::Secret;

/// Bytes that are read at once.
const PART: usize = 1024;

/// After so long without a byte, a paste has been broken off: its end does not come any more.
const BROKEN_OFF: Duration = Duration::from_secs(2);

impl Person {
    /// Takes what has been typed.
    pub(super) fn read(&mut self) -> Result<(), End> {
        let tty = &self.tty;
        let count = match self.keys.read(PART, |room| tty.read(room)) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.into()),
        };
        if count > 0 {
            let now = Instant::now();
            self.pause = now - self.typed;
            self.typed = now;
            if self.guard.is_some() {
                self.go_on_guarding();
            }
        }
        Ok(())
    }

    /// Does what all the keys say that are there.
    pub(super) fn type_all(&mut self) {
        while let Some(key) = self.keys.next(self.typed.elapsed() >= KEY) {
            // Whoever waits for the end of a paste in vain types one of these.
            let is_way_out = matches!(key, Key::Control('c' | 'z') | Key::Escape);
            if self.is_pasting && is_way_out && self.pause >= BROKEN_OFF {
                self.break_paste_off();
                if key == Key::Escape {
                    continue;
                }
            }
            match key {
                Key::PasteBegins => {
                    self.is_pasting = true;
                    // The silence was before it.
                    self.pause = Duration::ZERO;
                }
                Key::PasteEnds => self.is_pasting = false,
                _ => {}
            }
            match key {
                // In a paste, nothing is a key.
                Key::Control('c') if !self.is_pasting => self.interrupt(),
                Key::Control('z') if !self.is_pasting => self.suspend(),
                _ => self.type_one(key),
            }
        }
    }

    /// Gives a paste up whose end does not come.
    fn break_paste_off(&mut self) {
        for form in self.forms.values_mut() {
            form.break_paste_off();
        }
        self.is_pasting = false;
    }

    /// Ends the job, as a terminal does that makes a signal of the key. What is typed after it is for
    /// nobody.
    fn interrupt(&mut self) {
        self.begin_guard();
        signals::tell_job(Signal::SIGINT);
    }

    /// Stops the job, likewise.
    fn suspend(&mut self) {
        self.begin_guard();
        if signals::can_stop() {
            signals::tell_job(Signal::SIGTSTP);
        }
    }

    /// A key that is for a prompt, if it is for any.
    fn type_one(&mut self, key: Key) {
        // Another prompt may have taken the place since the key came.
        let number = self.shown.filter(|number| self.requests.has(*number));
        if let Some(number) = number
            && self.taken.is_some()
            && self.guard.is_none()
        {
            self.press(number, key);
        }
    }

    fn press(&mut self, number: u64, key: Key) {
        let is_key = !self.is_pasting;
        match key {
            Key::Tab if is_key => self.move_by(1),
            Key::BackTab if is_key => self.move_by(-1),
            Key::Escape if is_key => self.decide(number, Verdict::Deny),
            _ => {
                let settings = Arc::clone(self.requests.settings());
                let Some(form) = self.forms.get_mut(&number) else {
                    return;
                };
                // It has begun for another one.
                if self.is_pasting && !form.is_pasting() && key != Key::PasteBegins {
                    return;
                }
                match form.press(key, &settings) {
                    Outcome::Open => {}
                    Outcome::Approved => self.decide(number, Verdict::Approve),
                    Outcome::Denied => self.decide(number, Verdict::Deny),
                    Outcome::Ended => self.decide(number, Verdict::Answer(Arc::new(Secret::new()))),
                    Outcome::Answered(answers) => {
                        let content = settings.template.fill(&answers);
                        // Before anybody has it: then it is the one copy.
                        drop(answers);
                        self.decide(number, Verdict::Answer(Arc::new(content)));
                    }
                    Outcome::Editor => self.edit(number),
                }
            }
        }
    }

    /// Shows another of the prompts that wait. What is typed on without a look at it, as after the name
    /// in a form, or as of a paste that is not marked as one, is for none of them.
    fn move_by(&mut self, step: isize) {
        self.begin_guard();
        let list = self.requests.list();
        let place = list
            .iter()
            .position(|asked| Some(asked.number) == self.shown);
        if let Some(place) = place {
            let count = list.len().cast_signed();
            let next = (place.cast_signed() + step).rem_euclid(count);
            self.shown = list.get(next.cast_unsigned()).map(|asked| asked.number);
            // It may not have been shown yet.
            if let (Some(number), Some(asked)) = (self.shown, list.get(next.cast_unsigned())) {
                let new = || Form::new(self.requests.settings(), asked);
                self.forms.entry(number).or_insert_with(new);
            }
        }
    }

    /// The person has decided. What comes after that in the same breath is for nobody.
    fn decide(&mut self, number: u64, verdict: Verdict) {
        self.forms.remove(&number);
        if self.requests.list().len() == 1 {
            // First the terminal: what the caller says then would be gone with this screen.
            self.give_back();
        }
        self.requests.decide(number, verdict, By::Terminal);
    }

    /// Has the person write the answer in their editor.
    fn edit(&mut self, number: u64) {
        let Some(form) = self.forms.get_mut(&number) else {
            return;
        };
        let text = Secret::of(form.edit.secret().bytes());
        self.give_back();
        let (requests, end, signals) = (&self.requests, &self.end, &self.signals);
        let wanted = || {
            // The editor has stopped by itself, and the shell waits for this process.
            if signals.suspend() {
                signals.stop();
            }
            requests.has(number) && !end.load(Ordering::SeqCst)
        };
        let edited = editor::run(&text, requests.own_processes(), wanted);
        self.signals.drain();
        let Some(form) = self.forms.get_mut(&number) else {
            return;
        };
        form.note = match edited {
            Ok(text) => form.take_over(text),
            Err(error) => {
                tracing::warn!(error, "no answer from the editor");
                Some("the editor gave no text")
            }
        };
        self.shown = Some(number);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Args;
    use crate::desk::tests::policy;
    use crate::process::OwnProcesses;
    use crate::requests::Requests;
    use crate::settings::Settings;
    use crate::ui::signals::Signals;
    use crate::ui::tty::tests::pair;

    #[test]
    fn a_paste_after_a_silence_is_not_broken_off() {
        let args = Args::try_parse_from(["fusd-prompt", "--name", "x"]).unwrap();
        let settings = Arc::new(Settings::new(&args).unwrap());
        let requests = Requests::new(policy(), settings, None, None, OwnProcesses::default());
        let (_keys, tty) = pair();
        let (signals, _waker) = Signals::take().unwrap();
        let mut person = Person::new(requests, tty, signals, Arc::default());
        let mut types = |keys: &[u8]| {
            let read = person.keys.read(keys.len(), |room| {
                room.copy_from_slice(keys);
                Ok(keys.len())
            });
            read.unwrap();
            person.pause = BROKEN_OFF;
            person.type_all();
            person.is_pasting
        };
        // Escape, and another key by which it is known to be one.
        assert!(types(b"\x1b[200~a\x1b\x1b[Z"), "it has only begun");
        assert!(!types(b"\x1b\x1b[Z"), "its end does not come any more");
    }
}
