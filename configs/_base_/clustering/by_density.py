# k-reciprocal Jaccard distances and DBSCAN, as every method of this family. The paper says "DBSCAN" without numbers:
# the density of the target's own features decides, for each modality and each epoch anew. The family's numbers, which
# belong to some 30 images per identity, are k1=30, k2=6, eps=0.6 and min_samples=4.
clustering = dict(k1='auto', k2='auto', eps='auto', min_samples='auto')
