# k-reciprocal Jaccard distances and DBSCAN, as in every method of this family. The paper says "DBSCAN" without numbers.
# 'auto' sets them from the density of the target's features, for each modality and in every epoch. The family's usual
# numbers, k1=30, k2=6, eps=0.6 and min_samples=4, suit about 30 images per identity.
clustering = dict(k1='auto', k2='auto', eps='auto', min_samples='auto')
