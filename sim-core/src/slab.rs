//! A slab whose keys carry a generation, so that a stale key finds nothing.

/// Where a value lies in a [`Slab`], and which of the values that lay there it is. One word, so that it is stored and
/// loaded as one: two halves that are read together stall the load.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(u64);

impl Key {
    /// A key that no slab ever gives out.
    pub const NONE: Key = Key::new(u32::MAX, u32::MAX);

    /// The key of a place and of how many values it had before. Keys are ordered by place.
    #[inline]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Key((slot as u64) << 32 | generation as u64)
    }

    /// The place.
    #[inline]
    pub const fn slot(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How many values the place had before.
    #[inline]
    pub const fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut s = f.debug_struct("Key");
        s.field("slot", &self.slot()).field("generation", &self.generation()).finish()
    }
}

/// Values in reusable places. Iteration is in the order of places, which the run alone decides.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    /// An empty slab.
    pub const fn new() -> Self {
        Slab { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts a value in.
    #[inline]
    pub fn insert(&mut self, value: T) -> Key {
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            place.1 = Some(value);
            return Key::new(slot, place.0);
        }
        self.slots.push((0, Some(value)));
        Key::new(self.slots.len() as u32 - 1, 0)
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.slot() as usize).filter(|s| s.0 == key.generation())?.1.as_ref()
    }

    /// The value of a key, unless it was removed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.slot() as usize).filter(|s| s.0 == key.generation())?.1.as_mut()
    }

    /// Takes the value of a key out; the key is stale from here on.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.slots.get_mut(key.slot() as usize).filter(|s| s.0 == key.generation())?;
        let value = place.1.take()?;
        place.0 = place.0.wrapping_add(1);
        self.free.push(key.slot());
        Some(value)
    }

    /// Every key with its value, in the order of places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let places = self.slots.iter().enumerate();
        places.filter_map(|(i, s)| Some((Key::new(i as u32, s.0), s.1.as_ref()?)))
    }

    /// Every key, in the order of places.
    pub fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// How many values are in.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no value is in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values were ever in at once.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Drops every value but keeps the memory. Keys from before must not be used any more: callers that keep
    /// handles tell them apart by the world's id.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut slab = Slab::new();
        let a = slab.insert("a");
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b");
        assert_eq!((a.slot(), slab.get(a)), (b.slot(), None));
        assert_eq!((slab.len(), slab.capacity()), (1, 1));
    }
}
